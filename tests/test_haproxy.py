"""A service behind HAProxy in TCP mode: client addresses are kept, and health checks do no harm."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients import LOOPBACK, ask, connect, receive_to_end
from tests.conftest import RunSockd, ToolFinder
from tests.haproxy import BALANCER, haproxy
from tests.harness import DEADLINE, Sockd, wait_until
from tests.vitals import descriptors

MEBIBYTE = 1024 * 1024
INI = f"""[service:s]
kind = multi
listen = tcp:0:interface=127.0.0.1
proxy = {BALANCER}
deny = 127.0.0.66
[stats]
listen = tcp:0:interface=127.0.0.1
"""
Relay = Callable[[Sockd, str], int]


@pytest.fixture
def relay(tool: ToolFinder, tmp_path: Path) -> Iterator[Relay]:
    """Start a load balancer in front of a daemon; return its port."""
    program = tool("haproxy")
    with ExitStack() as stack:
        yield lambda sockd, words: stack.enter_context(
            haproxy(program, tmp_path, sockd.port("s"), words)
        )


@contextmanager
def dial(port: int, source: str = "127.0.0.5") -> Iterator[socket.socket]:
    """Connect to the load balancer from another address of this machine."""
    with socket.create_connection((LOOPBACK, port), DEADLINE, (source, 0)) as client:
        yield client


def rows(sockd: Sockd, state: str) -> list[Any]:
    found: list[Any] = sockd.get(f"/connections?state={state}")["connections"]
    return found


@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2"])
def test_the_client_is_known_by_its_own_address_and_port(
    run_sockd: RunSockd, relay: Relay, words: str
) -> None:
    sockd = run_sockd(INI)
    port = relay(sockd, words)
    with dial(port) as client:
        assert ask(client, b"hello") == b"hello"
        [row] = rows(sockd, "open")
        assert row["peer"] == {"host": "127.0.0.5", "port": client.getsockname()[1]}
        via = row["via"]
        assert isinstance(via, dict)
        assert via["host"] == BALANCER
        assert row["local"] == {"host": LOOPBACK, "port": sockd.port("s")}
        assert row["display_filter"] == (
            f"tcp.port == {sockd.port('s')} && tcp.port == {via['port']}"
        )
    wait_until(lambda: sockd.service("s")["closed"] == 1)


@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2"])
def test_a_half_close_passes_and_no_byte_is_lost(
    run_sockd: RunSockd, relay: Relay, words: str
) -> None:
    sockd = run_sockd(INI)
    port = relay(sockd, words)
    data = bytes(range(256)) * (MEBIBYTE // 256)

    def upload(client: socket.socket) -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    with dial(port) as client:
        sender = threading.Thread(target=upload, args=(client,))
        sender.start()
        assert receive_to_end(client) == data
        sender.join(DEADLINE)
    wait_until(lambda: sockd.service("s")["closed"] == 1)
    [row] = rows(sockd, "closed")
    assert (row["reason"], row["bytes_in"], row["bytes_out"]) == ("eof", MEBIBYTE, MEBIBYTE)


@pytest.mark.parametrize("words", ["send-proxy check inter 50ms", "send-proxy-v2 check inter 50ms"])
def test_health_checks_are_served_as_the_balancers_own(
    run_sockd: RunSockd, relay: Relay, words: str
) -> None:
    sockd = run_sockd(INI)
    port = relay(sockd, words)
    wait_until(lambda: sockd.service("s")["closed"] >= 5)
    with dial(port) as client:
        assert ask(client, b"hello") == b"hello"
    service = sockd.service("s")
    assert (service["errors"], service["refused"]) == (0, 0)
    checks = [row for row in rows(sockd, "all") if row["via"] is None]
    assert len(checks) >= 5
    hosts = [row["peer"]["host"] for row in checks]
    assert set(hosts) == {BALANCER}


def test_a_client_denied_behind_a_load_balancer_leaves_no_socket(
    run_sockd: RunSockd, relay: Relay
) -> None:
    sockd = run_sockd(INI)
    port = relay(sockd, "send-proxy-v2")
    with dial(port) as client:
        assert ask(client, b"let in") == b"let in"
        before = descriptors(sockd)
        for _ in range(20):
            with dial(port, "127.0.0.66") as denied:
                denied.sendall(b"x")
                assert has_ended(denied)
        assert sockd.service("s")["refusals"] == {"denied": 20}
        wait_until(lambda: descriptors(sockd) <= before)
    sockd.wait_for(r"Refused 127\.0\.0\.66:\d+ on 127\.0\.0\.1:\d+: denied \(s\)$")


def has_ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_balancer_that_does_not_tell_its_clients_is_refused(
    run_sockd: RunSockd, relay: Relay
) -> None:
    sockd = run_sockd(INI)
    port = relay(sockd, "")
    with dial(port) as client:
        client.sendall(b"hello")
        assert has_ended(client)
    assert sockd.service("s")["refusals"] == {"proxy_header": 1}
    with connect(sockd.port("s")) as client:
        assert ask(client, b"directly") == b"directly"
