"""Datagram services with real sockets."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

from tests.clients import ask, connect, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, wait_until
from tests.namespaces import Host

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
LARGEST = 65507
"""The maximum length of a datagram over IPv4: 65535 less the IP and UDP headers."""

UNBOUNDED = "source_packets = 0\nsource_bytes = 0\ntotal_packets = 0\ntotal_bytes = 0\n"


def udp(interface: str = "127.0.0.1", more: str = "") -> str:
    return f"[service:udp]\nkind = udp\nlisten = udp:0:interface={interface}\n{more}{STATS}"


def exchange(client: socket.socket, data: bytes, address: tuple[str, int]) -> bytes:
    """Send a datagram and return the answer, which must come from the destination address."""
    client.sendto(data, address)
    answer, source = client.recvfrom(65536)
    assert source[:2] == address
    return answer


@pytest.mark.parametrize("half", [0, 1])
def test_datagrams_of_every_size_come_back_byte_for_byte(run_sockd: RunSockd, half: int) -> None:
    sockd = run_sockd(udp(more=UNBOUNDED))
    address = ("127.0.0.1", sockd.port("udp"))
    noise = os.urandom(LARGEST)
    with udp_client() as client:
        for size in range(half, LARGEST + 1, 2):
            assert exchange(client, noise[:size], address) == noise[:size]
        service = sockd.service("udp")
    assert service["errors"] == 0
    assert service["bytes_in"] == service["bytes_out"] == sum(range(half, LARGEST + 1, 2))


def test_a_flood_of_empty_datagrams_does_not_starve_the_rest(run_sockd: RunSockd) -> None:
    multi = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
    sockd = run_sockd(multi + udp())
    flooding = threading.Event()
    done = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", sockd.port("udp")))
            while not done.is_set():
                client.send(b"")
                flooding.set()

    flooder = threading.Thread(target=flood)
    flooder.start()
    try:
        assert flooding.wait(DEADLINE)
        with connect(sockd.port("multi")) as client:
            for _ in range(20):
                assert ask(client, b"still here") == b"still here"
        reads = sockd.service("udp")["reads"]
        assert wait_until(lambda: sockd.service("udp")["reads"] > reads + 100)
    finally:
        done.set()
        flooder.join(DEADLINE)
    [flow] = sockd.get("/connections?service=udp")["connections"]
    assert (flow["bytes_in"], flow["bytes_out"]) == (0, 0)


@pytest.mark.parametrize(
    ("interface", "host"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2"),
        ("0.0.0.0", "127.255.1.1"),
        (r"\:\:", "::1"),
        (r"\:\:", "127.0.0.1"),
        (r"\:\:", "127.0.0.2"),
        (r"\:\:1", "::1"),
        ("127.0.0.2", "127.0.0.2"),
    ],
)
def test_the_answer_comes_from_the_address_that_was_asked(
    run_sockd: RunSockd, interface: str, host: str
) -> None:
    sockd = run_sockd(udp(interface))
    with udp_client(host) as client:
        assert exchange(client, b"who is there?", (host, sockd.port("udp"))) == b"who is there?"
        [flow] = sockd.get("/connections")["connections"]
        assert flow["local"] == {"host": host, "port": sockd.port("udp")}
        assert flow["peer"] == {"host": host, "port": client.getsockname()[1]}
        assert flow["transport"] == "udp"


def test_netcat_hears_the_answer_from_another_loopback_address(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    sockd = run_sockd(udp("0.0.0.0"))
    command = [tool("nc", "netcat-openbsd"), "-u", "-w", "1", "127.0.0.2", str(sockd.port("udp"))]
    said = subprocess.run(command, input=b"hello\n", capture_output=True, timeout=20, check=False)
    assert said.stdout == b"hello\n"


NEIGHBOUR = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
scope = socket.if_nametoindex("wire")
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
    client.settimeout(20)
    client.sendto(b"neighbour", (host, port, 0, scope))
    answer, source = client.recvfrom(65536)
    assert (answer, source) == (b"neighbour", (host, port, 0, scope)), (answer, source)
    print(client.getsockname()[1])
"""


@pytest.mark.network
@pytest.mark.parametrize("interface", [r"\:\:", r"fe80\:\:a%wire"])
def test_link_local_peers_are_answered_with_their_scope(
    run_sockd: RunSockd, wire: tuple[Host, Host], interface: str
) -> None:
    server, client = wire
    sockd = run_sockd(udp(interface), command=server.command(TWISTD))
    port = sockd.port("udp")
    said = subprocess.run(
        client.command(sys.executable, "-c", NEIGHBOUR, server.link_local, str(port)),
        check=True,
        capture_output=True,
        encoding="ascii",
    )
    ends = rf"\[fe80::b%wire\]:{said.stdout.strip()} on \[fe80::a%wire\]:{port}"
    sockd.wait_for(rf"First datagram from {ends}")


ALL_NODES = """
import socket, sys
port = int(sys.argv[1])
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
    client.settimeout(20)
    client.sendto(b"everybody", ("ff02::1", port, 0, socket.if_nametoindex("wire")))
    answer, source = client.recvfrom(65536)
    print(answer.decode(), *source[:2])
"""


@pytest.mark.network
def test_who_asks_all_nodes_is_answered_from_an_address_of_this_one(
    run_sockd: RunSockd, wire: tuple[Host, Host]
) -> None:
    server, client = wire
    sockd = run_sockd(udp(r"\:\:", "unguarded = broadcast\n"), command=server.command(TWISTD))
    port = sockd.port("udp")
    said = subprocess.check_output(
        client.command(sys.executable, "-c", ALL_NODES, str(port)), encoding="ascii"
    )
    # Beside the address that the test gave it, the wire may have one that the kernel made.
    assert re.fullmatch(rf"everybody fe80::\S+ {port}\n", said)
    sockd.wait_for(rf"First datagram from \S+ on \[ff02::1%wire\]:{port}")


def test_a_flow_is_one_peer_on_one_local_address(run_sockd: RunSockd) -> None:
    sockd = run_sockd(udp("0.0.0.0"))
    port = sockd.port("udp")
    with udp_client() as one, udp_client() as two:
        for _ in range(3):
            exchange(one, b"abc", ("127.0.0.1", port))
        exchange(one, b"abc", ("127.0.0.2", port))
        exchange(two, b"abcd", ("127.0.0.1", port))
        flows = sockd.get("/connections")["connections"]
    assert [(f["reads"], f["writes"], f["bytes_in"], f["bytes_out"]) for f in flows] == [
        (3, 3, 9, 9),
        (1, 1, 3, 3),
        (1, 1, 4, 4),
    ]
    assert {f["local"]["port"] for f in flows} == {port}


def test_a_quiet_flow_ends(run_sockd: RunSockd) -> None:
    sockd = run_sockd(udp(more="idle_timeout = 1s\n"))
    with udp_client() as client:
        exchange(client, b"once", ("127.0.0.1", sockd.port("udp")))
        wait_until(lambda: sockd.service("udp")["closed"] == 1)
        exchange(client, b"again", ("127.0.0.1", sockd.port("udp")))
    flows = sockd.get("/connections?state=all")["connections"]
    assert [flow["reason"] for flow in flows] == ["idle", None]


def test_a_flow_ends_with_its_last_reply(run_sockd: RunSockd) -> None:
    sockd = run_sockd(udp(more="replies = 2\n"))
    with udp_client() as client:
        for _ in range(4):
            assert exchange(client, b"x", ("127.0.0.1", sockd.port("udp"))) == b"x"
    flows = sockd.get("/connections?state=all")["connections"]
    assert [(flow["reason"], flow["writes"]) for flow in flows] == [("replies", 2)] * 2


def test_upper_answers_stripped(run_sockd: RunSockd) -> None:
    sockd = run_sockd(udp(more="reply = upper\nstrip = yes\n"))
    with udp_client() as client:
        assert exchange(client, b" hello \n", ("127.0.0.1", sockd.port("udp"))) == b"HELLO"
        assert exchange(client, b" \n", ("127.0.0.1", sockd.port("udp"))) == b""


def test_a_source_over_its_budget_is_silenced_logged_and_alone_in_that(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(udp("0.0.0.0", "source_packets = 3/h\n"))
    address = ("127.0.0.1", sockd.port("udp"))
    with udp_client("127.0.0.2") as eager, udp_client("127.0.0.3") as other:
        for _ in range(3):
            assert exchange(eager, b"x", address) == b"x"
        for _ in range(50):
            eager.sendto(b"x", address)
        with udp_client("127.0.0.2") as again:
            again.sendto(b"x", address)
            wait_until(lambda: sockd.service("udp")["refused"] == 51)
        assert exchange(other, b"y", address) == b"y"
    service = sockd.service("udp")
    assert (service["refusals"], service["opened"]) == ({"source_packets": 51}, 2)
    sockd.wait_for(r"Refused 127\.0\.0\.2:\d+ on 0\.0\.0\.0:\d+: source_packets = \S+ \(udp\)$")
    assert sockd.output.count("Refused") < 40


@pytest.mark.parametrize("fast_path", ["yes", "no"])
def test_clients_that_send_all_at_once_get_their_own_datagrams_back(
    run_sockd: RunSockd, fast_path: str
) -> None:
    sockd = run_sockd(f"[sockd]\nlane = {fast_path}\n" + udp())
    server = ("127.0.0.1", sockd.port("udp"))
    sizes = [0, 1, 500, 1400]
    with ExitStack() as stack:
        clients = [stack.enter_context(udp_client()) for _ in range(20)]
        for number in range(10):
            for client in clients:
                for size in sizes:
                    client.sendto(bytes([number]) * size, server)
            for client in clients:
                answers = [client.recv(65536) for _ in sizes]
                assert answers == [bytes([number]) * size for size in sizes]
    rows = sockd.get("/connections?state=all")["connections"]
    assert len(rows) == 20
    for row in rows:
        assert (row["reads"], row["writes"]) == (40, 40)
        assert row["bytes_in"] == row["bytes_out"] == 10 * sum(sizes)
    service = sockd.service("udp")
    assert (service["reads"], service["bytes_out"]) == (800, 200 * sum(sizes))


@pytest.mark.parametrize("fast_path", ["yes", "no"])
def test_what_is_over_the_budget_in_the_middle_of_a_burst_has_no_answer(
    run_sockd: RunSockd, fast_path: str
) -> None:
    sockd = run_sockd(f"[sockd]\nlane = {fast_path}\n" + udp(more="source_packets = 5/h\n"))
    with udp_client() as client:
        for number in range(12):
            client.sendto(bytes([number]), ("127.0.0.1", sockd.port("udp")))
        assert [client.recv(10) for _ in range(5)] == [bytes([number]) for number in range(5)]
        service = wait_until(lambda: (s := sockd.service("udp"))["refused"] == 7 and s)
    assert service["refusals"] == {"source_packets": 7}
    assert (service["reads"], service["writes"]) == (5, 5)
