"""Stream services with real sockets: the order of service, and the ledger's records."""

from __future__ import annotations

import selectors
import socket

import pytest

from tests.clients import ask, connect, connected, receive, receive_to_end
from tests.conftest import RunSockd
from tests.harness import DEADLINE, wait_until

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
MULTI = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
TCP = "[service:simple]\nkind = tcp\nlisten = tcp:0:interface=127.0.0.1\n"


def test_a_thousand_clients_at_once_each_get_their_own_bytes(run_sockd: RunSockd) -> None:
    sockd = run_sockd(MULTI + "backlog = 1000\n" + STATS)
    with connected(sockd.port("multi"), 1000) as clients:
        for number, client in enumerate(clients):
            client.sendall(f"I am client {number}\n".encode())
        for number, client in enumerate(clients):
            expected = f"I am client {number}\n".encode()
            assert receive(client, len(expected)) == expected
        assert sockd.service("multi")["active"] == 1000
    wait_until(lambda: sockd.service("multi")["closed"] == 1000)


def test_tcp_serves_one_client_at_a_time_and_the_next_ones_wait_in_the_kernel(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(TCP + STATS)
    port = sockd.port("simple")
    first, second, third = connect(port), connect(port), connect(port)
    assert ask(first, b"one") == b"one"
    second.sendall(b"two")
    third.sendall(b"three")
    service = wait_until(
        lambda: (s := sockd.service("simple"))["listeners"][0]["waiting"] == 2 and s
    )
    assert (service["active"], service["opened"], service["state"]) == (1, 1, "paused")
    second.setblocking(False)
    with pytest.raises(BlockingIOError):
        second.recv(1)
    second.settimeout(DEADLINE)
    first.close()
    assert receive(second, 3) == b"two"
    wait_until(lambda: sockd.service("simple")["listeners"][0]["waiting"] == 1)
    second.close()
    assert receive(third, 5) == b"three"
    third.close()
    service = wait_until(lambda: (s := sockd.service("simple"))["closed"] == 3 and s)
    assert (service["active"], service["state"]) == (0, "listening")


def test_clients_that_come_together_are_still_served_one_at_a_time(run_sockd: RunSockd) -> None:
    sockd = run_sockd(TCP.replace("listen = ", "listen =\n  tcp:0:interface=127.0.0.2\n  ") + STATS)
    ports = sockd.service("simple")["listeners"]
    clients = [connect(listener["port"], listener["host"]) for _ in range(10) for listener in ports]
    for client in clients:
        client.sendall(b"hello")
    waiting = list(clients)
    while waiting:
        served = wait_until(lambda: readable(waiting))
        assert len(served) == 1
        assert sockd.service("simple")["active"] == 1
        assert receive(served[0], 5) == b"hello"
        waiting.remove(served[0])
        served[0].close()
    wait_until(lambda: sockd.service("simple")["closed"] == 20)


def readable(clients: list[socket.socket]) -> list[socket.socket]:
    """Return the clients that have data to read."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ, client)
        return [key.data for key, _ in selector.select(0.05)]


def test_upper_answers_in_upper_case_and_strips_where_it_is_told_to(run_sockd: RunSockd) -> None:
    sockd = run_sockd(
        MULTI
        + "reply = upper\n"
        + MULTI.replace("service:multi", "service:strip")
        + "reply = upper\nstrip = yes\n"
    )
    with connect(sockd.port("multi")) as client:
        assert ask(client, b" hello \n") == b" HELLO \n"
    with connect(sockd.port("strip")) as client:
        client.sendall(b" hello \n")
        client.shutdown(socket.SHUT_WR)
        assert receive_to_end(client) == b"HELLO"


def test_a_connection_is_a_row_with_both_its_ends(run_sockd: RunSockd) -> None:
    sockd = run_sockd(MULTI + STATS)
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"hello") == b"hello"
        [row] = sockd.get("/connections")["connections"]
        host, port = client.getsockname()
        assert row["peer"] == {"host": host, "port": port}
        assert row["local"] == {"host": "127.0.0.1", "port": sockd.port("multi")}
        assert (row["bytes_in"], row["bytes_out"], row["reads"], row["writes"]) == (5, 5, 1, 1)
        assert row["display_filter"] == f"tcp.port == {sockd.port('multi')} && tcp.port == {port}"
        assert row["tcp"]["state"] == "established"
