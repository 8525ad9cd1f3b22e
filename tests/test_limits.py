"""The limits of a service: connections, replies, backlog and idle timeout, also with TLS."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from signal import SIGCONT, SIGSTOP

import pytest

from tests.certificates import TLSFiles
from tests.clients import LOOPBACK, ask, connect, connected, receive, receive_to_end
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd, wait_until
from tests.vitals import descriptors

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
Dial = Callable[[Sockd], socket.socket]


@pytest.fixture(params=["tcp", "tls"])
def stream(request: pytest.FixtureRequest, tls_files: TLSFiles) -> tuple[str, Dial]:
    """Return the section of a `multi` service over TCP or TLS, and a function that connects."""
    if request.param == "tcp":
        return section("tcp:0:interface=127.0.0.1"), lambda sockd: connect(sockd.port("multi"))

    def dial(sockd: Sockd) -> socket.socket:
        plain = connect(sockd.port("multi"))
        return tls_files.client_context().wrap_socket(plain, server_hostname="localhost")

    return section(tls_files.endpoint(0)), dial


def section(endpoint: str) -> str:
    return f"[service:multi]\nkind = multi\nlisten = {endpoint}\n"


def ended(client: socket.socket) -> bool:
    """Return whether the server closed or reset a connection without sending anything."""
    try:
        return client.recv(1) == b""
    except (ConnectionResetError, ssl.SSLError):
        return True


def refused(dial: Dial, sockd: Sockd) -> bool:
    try:
        with dial(sockd) as client:
            return ended(client)
    except (ConnectionResetError, ssl.SSLError, OSError):
        return True


def test_a_full_service_refuses_counts_it_and_leaves_no_socket_open(
    run_sockd: RunSockd, stream: tuple[str, Dial]
) -> None:
    ini, dial = stream
    sockd = run_sockd(ini + "max_connections = 2\n" + STATS)
    with dial(sockd) as first, dial(sockd) as second:
        assert ask(first, b"one") == b"one"
        assert ask(second, b"two") == b"two"
        before = descriptors(sockd)
        for _ in range(20):
            assert refused(dial, sockd)
        service = sockd.service("multi")
        assert (service["active"], service["refused"], service["opened"]) == (2, 20, 2)
        wait_until(lambda: descriptors(sockd) <= before, "the refused sockets are closed")
        assert ask(first, b"still") == b"still"
    wait_until(lambda: sockd.service("multi")["active"] == 0)
    with dial(sockd) as third:
        assert ask(third, b"three") == b"three"


def test_a_full_service_that_waits_leaves_the_next_clients_in_the_queue(
    run_sockd: RunSockd,
) -> None:
    ini = section("tcp:0:interface=127.0.0.1") + "max_connections = 3\nwhen_full = wait\n"
    sockd = run_sockd(ini + STATS)
    with connected(sockd.port("multi"), 8) as clients:
        for client in clients:
            client.sendall(b"hello")
        service = wait_until(
            lambda: (s := sockd.service("multi"))["listeners"][0]["waiting"] == 5 and s
        )
        assert (service["active"], service["state"], service["refused"]) == (3, "paused", 0)
        for client in clients:
            assert receive(client, 5) == b"hello"
            client.close()
            assert sockd.service("multi")["active"] <= 3
    wait_until(lambda: sockd.service("multi")["closed"] == 8)
    assert sockd.service("multi")["state"] == "listening"


def test_a_connection_is_closed_after_its_last_reply(
    run_sockd: RunSockd, stream: tuple[str, Dial]
) -> None:
    ini, dial = stream
    sockd = run_sockd(ini + "replies = 2\n" + STATS)
    with dial(sockd) as client:
        assert ask(client, b"one") == b"one"
        assert ask(client, b"two") == b"two"
        assert receive_to_end(client) == b""
    wait_until(lambda: sockd.service("multi")["closed"] == 1)
    [row] = sockd.get("/connections?state=closed")["connections"]
    assert (row["reason"], row["writes"], row["bytes_out"]) == ("replies", 2, 6)


def test_the_last_reply_arrives_whole_though_the_client_goes_on_sending(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(section("tcp:0:interface=127.0.0.1") + "replies = 1\n" + STATS)
    for _ in range(50):
        with connect(sockd.port("multi")) as client:
            client.sendall(b"first")
            assert receive(client, 5) == b"first"
            client.sendall(b"ignored" * 1000)
            assert receive_to_end(client) == b""
    wait_until(lambda: sockd.service("multi")["closed"] == 50)
    reasons = {row["reason"] for row in sockd.get("/connections?state=closed")["connections"]}
    assert reasons == {"replies"}


def test_a_client_that_stays_after_the_last_reply_is_closed_all_the_same(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(section("tcp:0:interface=127.0.0.1") + "replies = 1\n" + STATS)
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"one") == b"one"
        wait_until(lambda: sockd.service("multi")["closed"] == 1)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(
    run_sockd: RunSockd, stream: tuple[str, Dial]
) -> None:
    ini, dial = stream
    sockd = run_sockd(ini + "idle_timeout = 1s\n" + STATS)
    with dial(sockd) as idle, dial(sockd) as busy:
        assert ask(idle, b"once") == b"once"
        idle.settimeout(0.2)
        assert wait_until(lambda: ask(busy, b"x") == b"x" and quiet(idle))
        assert ask(busy, b"alive") == b"alive"
    reasons = wait_until(lambda: closed_reasons(sockd, 2))
    assert reasons == ["idle", "eof"]


def quiet(client: socket.socket) -> bool:
    """Return whether a connection has ended, after a short wait."""
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False


def closed_reasons(sockd: Sockd, count: int) -> list[str]:
    rows = sockd.get("/connections?state=closed")["connections"]
    return [row["reason"] for row in rows] if len(rows) == count else []


def test_a_client_that_never_reads_is_closed_when_idle(run_sockd: RunSockd) -> None:
    sockd = run_sockd(section("tcp:0:interface=127.0.0.1") + "idle_timeout = 500ms\n" + STATS)
    with connect(sockd.port("multi")) as client:
        client.settimeout(0.3)
        with pytest.raises(OSError):  # noqa: PT011, PT012 - a time-out first, or the reset at once
            while True:
                client.sendall(bytes(65536))
        assert wait_until(lambda: closed_reasons(sockd, 1)) == ["idle"]


def test_the_backlog_is_listens_queue(run_sockd: RunSockd) -> None:
    ini = section("tcp:0:interface=127.0.0.1").replace("multi", "tcp") + "backlog = 7\n"
    sockd = run_sockd(ini + STATS)
    [listener] = sockd.service("tcp")["listeners"]
    assert listener["backlog"] == 7
    with connected(sockd.port("tcp"), 1) as [first]:
        assert ask(first, b"x") == b"x"
        waiting = [start_connecting(listener["port"]) for _ in range(12)]
        # Linux admits one more than the backlog says (listen(2)).
        wait_until(lambda: sockd.service("tcp")["listeners"][0]["waiting"] == 8)
        for client in waiting:
            client.close()


def start_connecting(port: int) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex((LOOPBACK, port))
    return client


@pytest.mark.parametrize("kind", ["tcp", "haproxy:tcp"])
@pytest.mark.parametrize(("own", "backlog"), [("", 7), (":backlog=9", 9)])
def test_an_endpoint_has_the_backlog_of_its_section_or_its_own(
    run_sockd: RunSockd, tool: ToolFinder, kind: str, own: str, backlog: int
) -> None:
    ss = tool("ss")
    ini = section(f"{kind}:0:interface=127.0.0.1{own}") + "backlog = 7\n" + STATS
    sockd = run_sockd(ini)
    port = sockd.port("multi")
    sockd.wait_for(rf"Listen on 127\.0\.0\.1:{port}, backlog {backlog} \(multi\)")
    assert sockd.service("multi")["listeners"][0]["backlog"] == backlog
    said = subprocess.check_output([ss, "-Hltn", f"sport = :{port}"], encoding="ascii")
    assert said.split()[2] == str(backlog)


def dial_from(source: str, sockd: Sockd, endpoint_host: str = LOOPBACK) -> socket.socket:
    """Return a connection from one of this machine's loopback addresses."""
    address = (endpoint_host, sockd.port("multi"))
    return socket.create_connection(address, DEADLINE, (source, 0))


def test_each_source_has_its_own_connections_and_is_logged_when_it_wants_more(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd("[sockd]\nper_source = 2\n" + section("tcp:0:interface=127.0.0.1") + STATS)
    with dial_from("127.0.0.2", sockd) as first, dial_from("127.0.0.2", sockd) as second:
        assert ask(first, b"one") == b"one"
        assert ask(second, b"two") == b"two"
        for _ in range(3):
            with dial_from("127.0.0.2", sockd) as third:
                assert ended(third)
        with dial_from("127.0.0.3", sockd) as other:
            assert ask(other, b"other") == b"other"
        service = sockd.service("multi")
        assert (service["refused"], service["refusals"]) == (3, {"per_source": 3})
        sockd.wait_for(r"Refused 127\.0\.0\.2:\d+ on 127\.0\.0\.1:\d+: per_source = \S+ \(multi\)$")
    wait_until(lambda: sockd.service("multi")["active"] == 0)
    with dial_from("127.0.0.2", sockd) as again:
        assert ask(again, b"again") == b"again"


def test_a_client_over_its_rate_is_refused_and_only_that_client(
    run_sockd: RunSockd, stream: tuple[str, Dial]
) -> None:
    ini, dial = stream
    sockd = run_sockd(ini + "connect_rate = 3/h\n" + STATS)
    for _ in range(3):
        with dial(sockd) as client:
            assert ask(client, b"x") == b"x"
    assert all(refused(dial, sockd) for _ in range(20))
    with socket.create_connection((LOOPBACK, sockd.port("multi")), source_address=("127.0.0.2", 0)):
        wait_until(lambda: sockd.service("multi")["opened"] == 4)
    assert sockd.service("multi")["refusals"] == {"connect_rate": 20}


def test_all_together_may_come_so_often(run_sockd: RunSockd) -> None:
    sockd = run_sockd(section("tcp:0:interface=127.0.0.1") + "total_rate = 2/h\n" + STATS)
    for source in ("127.0.0.2", "127.0.0.3"):
        with dial_from(source, sockd) as client:
            assert ask(client, b"x") == b"x"
    with dial_from("127.0.0.4", sockd) as client:
        assert ended(client)
    assert sockd.service("multi")["refusals"] == {"total_rate": 1}


def test_who_is_denied_is_closed_without_a_word(run_sockd: RunSockd) -> None:
    access = "allow = 127.0.0.0/8\ndeny = 127.0.0.0/24\n    127.0.1.9\n"
    # On `::` the peers of IPv4 come in the spelling of IPv6.
    sockd = run_sockd(section(r"tcp:0:interface=\:\:") + access + STATS)
    for source, may in (("127.0.0.1", False), ("127.0.1.1", True), ("127.0.1.9", False)):
        with dial_from(source, sockd) as client:
            assert (ask(client, b"x") == b"x") if may else ended(client)
    with dial_from("::1", sockd, "::1") as client:
        assert ended(client)
    assert sockd.service("multi")["refusals"] == {"denied": 3}


@pytest.mark.parametrize(
    "waits", ["kind = tcp", "kind = multi\nmax_connections = 1\nwhen_full = wait"]
)
def test_one_client_turned_away_costs_nobody_a_place_in_the_queue(
    run_sockd: RunSockd, waits: str
) -> None:
    ini = section("tcp:0:interface=127.0.0.1").replace("kind = multi", waits)
    sockd = run_sockd(ini + "deny = 127.0.0.2\n" + STATS)
    with dial_from("127.0.0.2", sockd) as unwelcome:
        assert ended(unwelcome)
    sockd.send_signal(SIGSTOP)
    with connected(sockd.port("multi"), 3) as clients:
        sockd.send_signal(SIGCONT)
        for client in clients:
            assert ask(client, b"x") == b"x"
            client.close()
    assert sockd.service("multi")["refusals"] == {"denied": 1}


def test_one_at_a_time_serves_the_next_after_those_that_may_not_come_in(
    run_sockd: RunSockd,
) -> None:
    ini = section("tcp:0:interface=127.0.0.1").replace("kind = multi", "kind = tcp")
    sockd = run_sockd(ini + "deny = 127.0.0.2\n" + STATS)
    with connect(sockd.port("multi")) as first:
        assert ask(first, b"x") == b"x"
        denied = [dial_from("127.0.0.2", sockd) for _ in range(5)]
        with connect(sockd.port("multi")) as last:
            last.sendall(b"last")
            first.close()
            assert receive(last, 4) == b"last"
        assert all(ended(client) for client in denied)
        for client in denied:
            client.close()
    assert sockd.service("multi")["refusals"] == {"denied": 5}


def test_a_connection_ends_after_so_many_bytes_with_the_answer_to_all_of_them(
    run_sockd: RunSockd, stream: tuple[str, Dial]
) -> None:
    ini, dial = stream
    sockd = run_sockd(ini + "max_bytes = 100KB\n" + STATS)
    with dial(sockd) as client:
        client.sendall(bytes(range(250)) * 600)
        assert receive_to_end(client) == bytes(range(250)) * 400
    [row] = wait_until(lambda: sockd.get("/connections?state=closed")["connections"])
    assert (row["reason"], row["bytes_in"], row["bytes_out"]) == ("max_bytes", 100_000, 100_000)


def test_a_connection_ends_with_its_lifetime_however_busy_it_is(
    run_sockd: RunSockd, stream: tuple[str, Dial]
) -> None:
    ini, dial = stream
    sockd = run_sockd(ini + "max_lifetime = 300ms\n" + STATS)
    with dial(sockd) as client:
        wait_until(lambda: answers_no_more(client))
    wait_until(lambda: closed_reasons(sockd, 1))
    assert closed_reasons(sockd, 1) == ["lifetime"]


def answers_no_more(client: socket.socket) -> bool:
    try:
        return ask(client, b"x") == b""
    except OSError:
        return True
