"""Stream services against real sockets: no byte lost, repeated or reordered, memory bounded."""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import socket
import threading
from pathlib import Path

import pytest

from tests.clients import ask, connect, connected, receive, receive_to_end, reset
from tests.conftest import RunSockd
from tests.harness import DEADLINE, Sockd, wait_until

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
MULTI = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
TCP = "[service:simple]\nkind = tcp\nlisten = tcp:0:interface=127.0.0.1\n"
MEBIBYTE = 1024 * 1024


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def closed_reasons(sockd: Sockd) -> list[str]:
    answer = sockd.get("/connections?state=closed")
    return [connection["reason"] for connection in answer["connections"]]


def test_every_byte_comes_back_to_a_client_that_half_closes_and_reads_slowly(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(MULTI + STATS)
    block = os.urandom(MEBIBYTE)
    sent, received = hashlib.sha256(), hashlib.sha256()

    def upload(client: socket.socket) -> None:
        for _ in range(64):
            client.sendall(block)
            sent.update(block)
        client.shutdown(socket.SHUT_WR)

    with connect(sockd.port("multi")) as client:
        client.setblocking(False)
        unread = stuff(client)
        sent.update(bytes(unread))
        client.settimeout(DEADLINE)
        uploader = threading.Thread(target=upload, args=(client,))
        uploader.start()
        total = 0
        while chunk := client.recv(4096):
            received.update(chunk)
            total += len(chunk)
        uploader.join(DEADLINE)
    assert total == unread + 64 * MEBIBYTE
    assert received.digest() == sent.digest()
    service = wait_until(lambda: (s := sockd.service("multi"))["closed"] and s)
    assert (service["bytes_in"], service["bytes_out"]) == (total, total)
    assert closed_reasons(sockd) == ["eof"]


def test_memory_stays_flat_while_clients_send_and_never_read(run_sockd: RunSockd) -> None:
    sockd = run_sockd(MULTI + STATS)
    with connected(sockd.port("multi"), 20) as clients:
        before = resident(sockd.pid)
        for client in clients:
            client.setblocking(False)
        stuffed = sum(stuff(client) for client in clients)
        assert stuffed > 20 * 100_000
        assert resident(sockd.pid) - before < 16 * MEBIBYTE
        with connect(sockd.port("multi")) as other:
            assert ask(other, b"still here") == b"still here"


def stuff(client: socket.socket) -> int:
    """Send until neither side's kernel takes more; return how much that was."""
    total = 0
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_WRITE)
        while selector.select(0.2):
            total += client.send(bytes(65536))
    return total


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


def test_a_reset_in_mid_transfer_ends_that_connection_only_and_is_recorded(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(MULTI + STATS)
    with connect(sockd.port("multi")) as other:
        victim = connect(sockd.port("multi"))
        victim.setblocking(False)
        stuff(victim)
        reset(victim)
        wait_until(lambda: sockd.service("multi")["closed"] == 1)
        assert closed_reasons(sockd) == ["reset"]
        assert ask(other, b"and yet") == b"and yet"
    assert sockd.service("multi")["errors"] == 0


def test_a_reset_of_an_idle_connection_is_recorded(run_sockd: RunSockd) -> None:
    sockd = run_sockd(MULTI + STATS)
    client = connect(sockd.port("multi"))
    assert ask(client, b"x") == b"x"
    reset(client)
    wait_until(lambda: sockd.service("multi")["closed"] == 1)
    assert closed_reasons(sockd) == ["reset"]


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
    """Return the clients that have something to read."""
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
