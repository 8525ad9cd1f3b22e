"""Nothing runs out: whoever comes, stats and shell answer, and all is given back afterwards."""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial
from signal import SIGCONT, SIGSTOP

import pytest

from sockd.admin.descriptors import MAX_UNAUTHENTICATED
from sockd.check import descriptor_demand
from sockd.registry import discover
from sockd.stats.descriptors import MAX_CONNECTIONS
from tests.clients import LOOPBACK, ask, connect, connected, receive_to_end, reset
from tests.configurations import read
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, Sockd, wait_until
from tests.vitals import Vitals, assert_recovered, assert_unshaken, vitals, wait_until_closed

ENDPOINT = "tcp:0:interface=127.0.0.1"
VIEWS = f"[stats]\nlisten = {ENDPOINT}\n[admin]\nssh = {ENDPOINT}\n"
SERVICE = f"[service:s]\nkind = multi\nlisten = {ENDPOINT}\n"
LAB = f"[sockd]\nhistory = 100\n{SERVICE}{VIEWS}"
DRIP = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


def stats_port(sockd: Sockd) -> int:
    return int(sockd.stats_url.rpartition(":")[2])


def banner(sockd: Sockd) -> bytes:
    """Return the first words of the SSH server; none if it closes the connection."""
    with connect(sockd.ssh_port) as client:
        return client.recv(100)


def sequence(sockd: Sockd, count: int) -> None:
    """Connect, ask and close, again and again, from more addresses than one has ports."""
    port = sockd.port("s")
    for number in range(count):
        source = f"127.{1 + number // 20_000 % 200}.0.1"
        with socket.create_connection((LOOPBACK, port), DEADLINE, (source, 0)) as client:
            assert ask(client, b"hello") == b"hello"


@pytest.fixture
def lab(run_sockd: RunSockd) -> Sockd:
    """Start a daemon and warm it up."""
    sockd = run_sockd(LAB)
    sequence(sockd, 300)
    return sockd


@pytest.fixture
def before(lab: Sockd) -> Vitals:
    """Return how it is before anything happens."""
    wait_until(lambda: lab.service("s")["active"] == 0)
    return vitals(lab)


def is_full(sockd: Sockd, name: str) -> bool:
    return bool(sockd.service(name)["active"] == 150)


def test_full_services_leave_stats_and_shell_within_reach(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    sections = [
        f"[service:{name}]\nkind = multi\nlisten = {ENDPOINT}\nmax_connections = 150\n"
        for name in ("a", "b")
    ]
    ini = "".join(sections) + VIEWS
    most = descriptor_demand(read(ini), discover()).total
    command = (tool("prlimit", "util-linux"), f"--nofile={most}:{most}", TWISTD)
    sockd = run_sockd(ini, command=command)
    with ExitStack() as stack:
        for name in ("a", "b"):
            stack.enter_context(connected(sockd.port(name), 150))
            wait_until(partial(is_full, sockd, name))
        for _ in range(2):
            for name in ("a", "b"):
                for client in stack.enter_context(connected(sockd.port(name), 150)):
                    assert receive_to_end(client) == b""
        stack.enter_context(connected(stats_port(sockd), 3 * MAX_CONNECTIONS))
        stack.enter_context(connected(sockd.ssh_port, MAX_UNAUTHENTICATED - 1))
        assert sockd.get("/health") == {"status": "ok"}
        assert banner(sockd).startswith(b"SSH-2.0-")
        assert [sockd.service(name)["refused"] for name in ("a", "b")] == [300, 300]
        assert vitals(sockd).descriptors <= most
    assert_unshaken(sockd)


def test_a_crowd_that_comes_all_at_once_takes_no_descriptors(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    ini = f"{SERVICE}max_connections = 1\nbacklog = 1000\n"
    most = descriptor_demand(read(ini), discover()).total
    command = (tool("prlimit", "util-linux"), f"--nofile={most}:{most}", TWISTD)
    sockd = run_sockd(ini, command=command)
    with ExitStack() as stack:
        sockd.send_signal(SIGSTOP)
        try:
            clients = stack.enter_context(connected(sockd.port("s"), 1_000))
        finally:
            sockd.send_signal(SIGCONT)
        assert ask(clients[0], b"hello") == b"hello"
        assert [client for client in clients[1:] if receive_to_end(client)] == []
    assert_unshaken(sockd)


def test_five_thousand_connections_in_a_row(lab: Sockd, before: Vitals) -> None:
    sequence(lab, 5_000)
    assert_recovered(lab, before)
    assert lab.service("s")["bytes_out"] == 5_300 * len(b"hello")


def test_a_storm_of_resets(lab: Sockd, before: Vitals) -> None:
    port = lab.port("s")
    for number in range(2_000):
        client = connect(port)
        if number % 3:
            client.send(b"x" * (number % 3 * 1000))
        reset(client)
    wait_until(lambda: lab.service("s")["opened"] == 2_300)
    assert_recovered(lab, before)


def test_peers_that_never_read(lab: Sockd, before: Vitals) -> None:
    with connected(lab.port("s"), 20) as clients:
        for client in clients:
            client.setblocking(False)
        stuck = 0
        data = bytes(65536)
        deadline = time.monotonic() + DEADLINE
        while stuck < 3 and time.monotonic() < deadline:
            _, writable, _ = select.select([], clients, [], 0.3)
            stuck = 0 if writable else stuck + 1
            for client in writable:
                with suppress(BlockingIOError):
                    client.send(data)
        assert stuck == 3
        assert vitals(lab).resident - before.resident < 20 * 1024
        assert lab.get("/health") == {"status": "ok"}
    assert_recovered(lab, before)


def test_a_peer_that_sends_a_byte_now_and_then_is_ended_by_its_lifetime(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(f"{SERVICE}idle_timeout = 1s\nmax_lifetime = 2s\n{VIEWS}")
    with connect(sockd.port("s")) as client:
        answers = [b"a"]
        while answers[-1]:
            client.send(b"a")
            answers.append(client.recv(1))
            select.select([client], [], [], 0.2)
    (closed,) = sockd.get("/connections?state=closed")["connections"]
    assert closed["reason"] == "lifetime"
    assert_unshaken(sockd)


def test_slow_requests_do_not_keep_others_from_the_stats(lab: Sockd, before: Vitals) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            for client in stack.enter_context(connected(stats_port(lab), MAX_CONNECTIONS)):
                client.send(DRIP)
            assert lab.get("/health") == {"status": "ok"}
        assert vitals(lab).descriptors <= before.descriptors + MAX_CONNECTIONS + 1
    assert_recovered(lab, before)


def ask_and_never_read(sockd: Sockd) -> None:
    request = b"GET /connections?state=all HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(2):
            for client in stack.enter_context(connected(stats_port(sockd), MAX_CONNECTIONS)):
                with suppress(ConnectionError):  # it had to make room for a later one
                    client.send(request * 3)
            assert sockd.get("/health") == {"status": "ok"}
        assert vitals(sockd).descriptors < MAX_CONNECTIONS + 30


def test_clients_who_read_no_answer_do_not_either(lab: Sockd, before: Vitals) -> None:
    """Memory grows at first, and then it must settle.

    Connections that are gone leave cycles of objects, which wait for the garbage collector, and
    the allocator keeps what lies between them. How far it grows by then is chance, but for what all
    of them may have at once.
    """
    sizes = [before.resident]
    while len(sizes) < 4 or sizes[-1] > 1.03 * sizes[-3]:
        assert len(sizes) < 16, sizes
        ask_and_never_read(lab)
        wait_until_closed(lab, before)
        sizes.append(vitals(lab).resident)
    assert sizes[-1] - sizes[0] < MAX_CONNECTIONS * 1024
    assert lab.get("/health") == {"status": "ok"}
    assert_unshaken(lab)


def test_strangers_at_the_door_of_the_shell_are_few_and_leave_no_trace(
    lab: Sockd, before: Vitals
) -> None:
    with connected(lab.ssh_port, MAX_UNAUTHENTICATED) as clients:
        for client in clients:
            assert client.recv(7) == b"SSH-2.0"
            client.send(b"S")
        with ExitStack() as stack:
            for _ in range(50):
                with suppress(ConnectionResetError):  # perhaps before connect(2) has returned
                    late = stack.enter_context(connect(lab.ssh_port))
                    assert late.recv(1) == b""
        assert lab.get("/health") == {"status": "ok"}
    wait_until(lambda: banner(lab).startswith(b"SSH-2.0"))
    assert_recovered(lab, before)


def test_the_log_of_a_flood_of_refusals_is_short(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"{SERVICE}max_connections = 1\n{VIEWS}")
    with connect(sockd.port("s")) as client:
        assert ask(client, b"hello") == b"hello"
        for _ in range(1_000):
            with connect(sockd.port("s")) as refused:
                assert receive_to_end(refused) == b""
        assert sockd.service("s")["refused"] == 1_000
    assert len(sockd.output.splitlines()) < 200
    assert_unshaken(sockd)
