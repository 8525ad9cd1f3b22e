"""Services behind load balancers: the header comes first and is accepted from no other peer."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost

from sockd.config.limits import network
from sockd.config.specs import WAIT
from sockd.limits.buckets import RateLimit
from sockd.limits.spec import LimitsSpec
from sockd.model.address import Address
from sockd.model.reasons import RefusalReason
from sockd.model.records import State
from sockd.services.proxied import HEADER_TIME
from sockd.services.stream import StreamKind
from tests.clients import LOOPBACK, ask, connect, receive, receive_to_end, reset
from tests.conftest import RunSockd
from tests.harness import DEADLINE, Sockd, wait_until
from tests.proxy_headers import LOCAL, PROXY, addresses, extension, version_2
from tests.test_services import PLACE, Bench, SocketTransport, say
from tests.vitals import descriptors

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
SERVICE = "[service:s]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\nproxy = 127.0.0.1\n"
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.1 50412 443\r\n"
BLOCK = version_2(
    PROXY, 0x21, addresses("2001:db8::1", 50412, "2001:db8::2", 443) + extension(4, bytes(999))
)
HEADERS = {
    "1": (LINE, {"host": "192.0.2.1", "port": 50412}),
    "2": (BLOCK, {"host": "2001:db8::1", "port": 50412}),
}
CLIENT = Address("192.0.2.1", 50412)
BALANCER = Address("127.0.0.1", 50001)


class Balanced(Bench):
    """A service on an in-memory reactor that accepts PROXY headers from the tests' clients."""

    def __init__(self, kind: StreamKind | None = None, **options: Any) -> None:
        super().__init__(kind=kind, proxy=(network("127.0.0.1", PLACE),), **options)

    def refusals(self) -> dict[RefusalReason, int]:
        """Return the number of refusals by reason."""
        return self.service.record.refusals


@pytest.mark.parametrize("pieces", [[LINE], [LINE[:1], LINE[1:40], LINE[40:]]])
def test_the_ledger_has_the_client_and_the_balancer(pieces: list[bytes]) -> None:
    bench = Balanced()
    transport = bench.connect()
    for piece in pieces:
        assert bench.service.record.opened == 0
        assert say(transport, piece) == b""
    connection = bench.only()
    assert (connection.peer, connection.via) == (CLIENT, BALANCER)
    assert connection.local == Address("127.0.0.1", 65432)
    assert say(transport, b"hello") == b"hello"
    assert (connection.reads, connection.bytes_in) == (1, 5)
    bench.lose(transport, ConnectionDone())
    assert bench.reactor.getDelayedCalls() == []


def test_what_comes_along_with_the_header_is_answered() -> None:
    bench = Balanced()
    assert say(bench.connect(), LINE + b"hello") == b"hello"
    assert bench.only().bytes_in == 5


def test_a_balancer_that_speaks_for_itself_is_served_as_itself() -> None:
    bench = Balanced()
    itself = b"PROXY TCP4 127.0.0.1 127.0.0.1 50001 65432\r\n"
    for header in (version_2(LOCAL, 0, b""), b"PROXY UNKNOWN\r\n", itself):
        assert say(bench.connect(), header + b"hello") == b"hello"
    assert {(one.peer, one.via) for one in bench.ledger.all_connections()} == {(BALANCER, None)}


def test_a_header_from_another_peer_is_input_of_that_peer() -> None:
    bench = Balanced()
    transport = SocketTransport()
    transport._peer = IPv4Address("TCP", "127.0.0.2", 50001)
    assert say(bench.connect(transport=transport), LINE) == LINE
    assert (bench.only().peer, bench.only().via) == (Address("127.0.0.2", 50001), None)


def test_without_balancers_a_header_is_what_the_client_says() -> None:
    bench = Bench()
    assert say(bench.connect(), LINE) == LINE
    assert bench.only().peer == BALANCER


def test_a_header_that_trickles_in_has_no_more_time_than_others() -> None:
    bench = Balanced()
    transport = bench.connect()
    for number in range(5):
        say(transport, LINE[number : number + 1])
        assert not transport.disconnecting
        bench.reactor.advance(HEADER_TIME / 5)
    assert transport.disconnecting
    bench.lose(transport, ConnectionDone())
    assert bench.refusals() == {RefusalReason.PROXY_TIMEOUT: 1}
    assert bench.reactor.getDelayedCalls() == []


def test_a_wrong_header_and_one_that_ends_too_early_are_refused_once_each() -> None:
    bench = Balanced()
    message, short = bench.connect(), bench.connect()
    assert say(message, b"hello") == b""
    assert message.disconnecting
    bench.lose(message, ConnectionDone())
    say(short, LINE[:-1])
    bench.lose(short, ConnectionLost())
    assert bench.refusals() == {RefusalReason.PROXY_HEADER: 2}
    assert (bench.service.record.opened, bench.service.record.errors) == (0, 0)
    assert bench.reactor.getDelayedCalls() == []


def test_limits_are_those_of_the_client_and_not_of_the_balancer() -> None:
    limits = LimitsSpec(
        deny=(network("192.0.2.9", PLACE),), per_source=1, connect_rate=RateLimit(2, 3600.0)
    )
    bench = Balanced(limits=limits)
    first, *others = (bench.connect() for _ in range(4))
    assert say(first, LINE + b"a") == b"a"
    assert say(others[0], LINE + b"b") == b""
    assert say(others[1], LINE.replace(b"192.0.2.1", b"192.0.2.2") + b"c") == b"c"
    assert say(others[2], LINE.replace(b"192.0.2.1", b"192.0.2.9") + b"d") == b""
    assert [one.disconnecting for one in others] == [True, False, True]
    assert bench.refusals() == {RefusalReason.PER_SOURCE: 1, RefusalReason.DENIED: 1}
    bench.lose(first, ConnectionDone())
    assert say(bench.connect(), LINE + b"again") == b"again"


def test_a_connection_without_its_header_counts_against_the_limit() -> None:
    bench = Balanced(max_connections=1)
    arriving = bench.connect()
    assert bench.connect(50002).disconnecting
    assert say(arriving, LINE + b"x") == b"x"
    assert bench.connect(50003).disconnecting
    bench.lose(arriving, ConnectionDone())
    assert not bench.connect(50004).disconnecting
    assert bench.refusals() == {RefusalReason.FULL: 2}


@pytest.mark.parametrize("is_served", [True, False])
def test_where_clients_wait_they_wait_for_those_without_a_header_too(is_served: bool) -> None:
    bench = Balanced(max_connections=1, when_full=WAIT)
    arriving = bench.connect()
    states = [bench.service.record.state]
    say(arriving, LINE if is_served else b"wrong")
    states.append(bench.service.record.state)
    bench.lose(arriving, ConnectionDone())
    states.append(bench.service.record.state)
    between = State.PAUSED if is_served else State.LISTENING
    assert states == [State.PAUSED, between, State.LISTENING]


def test_a_stop_does_not_wait_for_headers() -> None:
    bench = Balanced()
    arriving, served = bench.connect(50001), bench.connect(50002)
    say(served, LINE)
    bench.service.stopService()
    assert (arriving.disconnecting, served.disconnecting) == (True, False)
    assert bench.refusals() == {RefusalReason.STOP: 1}


def dial(sockd: Sockd, source: str = LOOPBACK) -> socket.socket:
    return socket.create_connection((LOOPBACK, sockd.port("s")), DEADLINE, (source, 0))


def ends(sockd: Sockd) -> list[tuple[Any, Any]]:
    rows = sockd.get("/connections?state=all")["connections"]
    return [(row["peer"], row["via"]) for row in rows]


@pytest.mark.parametrize("version", HEADERS)
@pytest.mark.parametrize("reply", ["echo", "upper"])
def test_a_header_may_come_in_any_pieces(run_sockd: RunSockd, version: str, reply: str) -> None:
    header, client = HEADERS[version]
    sockd = run_sockd(SERVICE + f"reply = {reply}\n" + STATS)
    pieces = ([header[i : i + 1] for i in range(len(header))], [header], [header[:30], header[30:]])
    for cut in pieces:
        with dial(sockd) as balancer:
            balancer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in cut[:-1]:
                balancer.sendall(piece)
            balancer.sendall(cut[-1] + b"HELLO")
            assert receive(balancer, 5) == b"HELLO"
            assert ask(balancer, b"AND MORE") == b"AND MORE"
            via = dict(zip(("host", "port"), balancer.getsockname(), strict=True))
            assert ends(sockd)[-1] == (client, via)
            balancer.sendall(b"LAST")
            balancer.shutdown(socket.SHUT_WR)
            assert receive_to_end(balancer) == b"LAST"
    wait_until(lambda: sockd.service("s")["closed"] == 3)
    rows = sockd.get("/connections?state=closed")["connections"]
    assert {(row["reason"], row["bytes_in"], row["bytes_out"]) for row in rows} == {("eof", 17, 17)}


def test_the_header_the_first_words_and_the_end_may_come_at_once(run_sockd: RunSockd) -> None:
    sockd = run_sockd(SERVICE + STATS)
    data = bytes(range(256)) * 200
    for header, _ in HEADERS.values():
        with dial(sockd) as balancer:
            balancer.sendall(header + data)
            balancer.shutdown(socket.SHUT_WR)
            assert receive_to_end(balancer) == data


def test_the_log_has_both_and_refuses_clients_by_their_own_name(run_sockd: RunSockd) -> None:
    sockd = run_sockd(SERVICE + "deny = 192.0.2.0/24\n" + STATS)
    port = sockd.port("s")
    with dial(sockd) as balancer:
        own = balancer.getsockname()[1]
        balancer.sendall(BLOCK + b"x")
        assert receive(balancer, 1) == b"x"
        sockd.wait_for(
            rf"Connected by \[2001:db8::1\]:50412 via 127\.0\.0\.1:{own} on 127\.0\.0\.1:{port}"
            r" \(s #1\)$"
        )
    before = descriptors(sockd)
    for _ in range(20):
        with dial(sockd) as balancer:
            balancer.sendall(LINE + b"x")
            assert ended(balancer)
    sockd.wait_for(rf"Refused 192\.0\.2\.1:50412 on 127\.0\.0\.1:{port}: denied \(s\)$")
    assert sockd.service("s")["refusals"] == {"denied": 20}
    wait_until(lambda: descriptors(sockd) <= before, "the refused sockets are closed")


def ended(client: socket.socket) -> bool:
    """Return whether the server closed or reset a connection without sending anything."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_silent_balancer_is_closed_and_one_at_a_time_goes_on(run_sockd: RunSockd) -> None:
    sockd = run_sockd(SERVICE.replace("multi", "tcp") + STATS)
    with dial(sockd) as silent, dial(sockd) as message, dial(sockd) as first, dial(sockd) as second:
        message.sendall(b"GET / HTTP/1.1\r\n")
        for client in (first, second):
            client.sendall(LINE + b"hello")
        assert ended(silent)
        assert ended(message)
        assert receive(first, 5) == b"hello"
        first.close()
        assert receive(second, 5) == b"hello"
    assert sockd.service("s")["refusals"] == {"proxy_timeout": 1, "proxy_header": 1}


def test_others_are_served_as_who_they_are(run_sockd: RunSockd) -> None:
    sockd = run_sockd(SERVICE + STATS)
    with dial(sockd, "127.0.0.2") as client:
        assert ask(client, LINE) == LINE
        peer = dict(zip(("host", "port"), client.getsockname(), strict=True))
        assert ends(sockd) == [(peer, None)]


def test_a_listed_address_is_known_in_either_spelling(run_sockd: RunSockd) -> None:
    sockd = run_sockd(SERVICE.replace("127.0.0.1", r"\:\:", 1) + STATS)
    with connect(sockd.port("s")) as balancer:
        balancer.sendall(LINE + b"hello")
        assert receive(balancer, 5) == b"hello"
        assert ends(sockd)[0][0] == HEADERS["1"][1]


def test_whatever_balancers_send_nothing_fails_and_no_place_is_lost(run_sockd: RunSockd) -> None:
    sockd = run_sockd(SERVICE + "max_connections = 2\n" + STATS)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        start=st.sampled_from([b"", LINE, LINE[:20], BLOCK, BLOCK[:16], BLOCK[:40]]),
        more=st.binary(max_size=100),
        location=st.integers(0, 200),
        is_reset=st.booleans(),
    )
    def send(start: bytes, more: bytes, location: int, is_reset: bool) -> None:
        data = start + more
        with dial(sockd) as balancer:
            try:
                balancer.sendall(data[:location])
                balancer.sendall(data[location:])
                if is_reset:
                    reset(balancer)
                else:
                    balancer.shutdown(socket.SHUT_WR)
                    receive_to_end(balancer)
            except OSError:  # the server has closed already
                pass
        wait_until(lambda: sockd.get("/services/s")["active"] == 0)

    send()
    with dial(sockd) as one, dial(sockd) as two:
        for balancer in (one, two):
            balancer.sendall(LINE + b"still here")
            assert receive(balancer, 10) == b"still here"
    service = sockd.service("s")
    assert service["errors"] == 0
    assert set(service["refusals"]) <= {"proxy_header", "full"}
    assert "Unhandled" not in sockd.output
