"""Streams with real sockets on every path: no byte is lost or repeated, and memory is bounded."""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import signal
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from pathlib import Path as File
from random import Random

import pytest

from tests.certificates import TLSFiles
from tests.clients import ask, exchange, receive, receive_to_end, reset
from tests.conftest import RunSockd
from tests.harness import DEADLINE, Sockd, wait_until
from tests.paths import NAMES, PLAIN, Path, has_io_uring
from tests.vitals import held

MEBIBYTE = 1024 * 1024
EDGES = (1, 2, 1459, 1460, 1461, 16384, 65535, 65536, 65537, MEBIBYTE)


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, run_sockd: RunSockd, tls_files: TLSFiles) -> Path:
    """Return one of the paths through the daemon."""
    return Path(request.param, run_sockd, tls_files)


@pytest.fixture(params=PLAIN)
def plain_path(request: pytest.FixtureRequest, run_sockd: RunSockd, tls_files: TLSFiles) -> Path:
    """Return one of the paths that support half-close."""
    return Path(request.param, run_sockd, tls_files)


def closed_reasons(sockd: Sockd) -> list[str]:
    answer = sockd.get("/connections?state=closed")
    return [connection["reason"] for connection in answer["connections"]]


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes (proc(5))."""
    status = File(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def stuff(client: socket.socket) -> int:
    """Send until both kernels' buffers are full; return the number of bytes."""
    client.setblocking(False)
    total = 0
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_WRITE)
        while selector.select(0.2):
            with suppress(ssl.SSLWantWriteError):
                total += client.send(bytes(65536))
    return total


def test_the_path_is_the_one_that_it_is_called(path: Path) -> None:
    sockd = path.start()
    before = held(sockd.pid, "eventpoll")
    with path.dial(sockd) as client:
        for _ in range(2):  # input that follows a PROXY header does not use the fast path
            assert ask(client, b"hello") == b"hello"
        has_fast_path = path.name not in ("no lane", "tls")
        assert held(sockd.pid, "eventpoll") - before == has_fast_path
        has_ring = has_fast_path and path.name != "one by one" and has_io_uring()
        assert (held(sockd.pid, "io_uring") > 0) == has_ring


def test_messages_of_every_size_come_back_and_are_counted_to_the_byte(path: Path) -> None:
    sockd = path.start()
    with path.dial(sockd) as client:
        for size in EDGES:
            data = os.urandom(size)
            assert exchange(client, data) == data
        [row] = sockd.get("/connections")["connections"]
        assert (row["bytes_in"], row["bytes_out"]) == (sum(EDGES), sum(EDGES))


@pytest.mark.parametrize("sizes", [(1, 3000), (20_000, 60_000)], ids=["small", "large"])
def test_many_clients_get_their_own_bytes_and_the_sums_are_right(
    path: Path, sizes: tuple[int, int]
) -> None:
    sockd = path.start()
    random = Random(7)
    sent = [0] * 30
    with ExitStack() as stack:
        clients = [stack.enter_context(path.dial(sockd)) for _ in sent]
        for _ in range(20):  # all at once: enough sockets for the batch echoer
            said = [random.randbytes(random.randint(*sizes)) for _ in clients]
            for client, data in zip(clients, said, strict=True):
                client.sendall(data)
            for who, data in enumerate(said):
                assert receive(clients[who], len(data)) == data
                sent[who] += len(data)
        rows = sockd.get("/connections")["connections"]
        assert sorted(row["bytes_in"] for row in rows) == sorted(sent)
        assert all(row["bytes_in"] == row["bytes_out"] for row in rows)
        service = sockd.service("s")
    assert (service["bytes_in"], service["bytes_out"]) == (sum(sent), sum(sent))
    assert service["reads"] == sum(row["reads"] for row in rows)
    assert service["writes"] == sum(row["writes"] for row in rows)


def test_every_byte_comes_back_to_a_client_that_half_closes_and_reads_slowly(
    plain_path: Path,
) -> None:
    sockd = plain_path.start()
    block = os.urandom(MEBIBYTE)
    sent, received = hashlib.sha256(), hashlib.sha256()

    def upload(client: socket.socket) -> None:
        for _ in range(64):
            client.sendall(block)
            sent.update(block)
        client.shutdown(socket.SHUT_WR)

    with plain_path.dial(sockd) as client:
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
    service = wait_until(lambda: (s := sockd.service("s"))["closed"] and s)
    assert (service["bytes_in"], service["bytes_out"]) == (total, total)
    assert closed_reasons(sockd) == ["eof"]


def test_a_message_right_before_the_end_is_answered(plain_path: Path) -> None:
    sockd = plain_path.start()
    for _ in range(30):
        with plain_path.dial(sockd) as client:
            client.sendall(b"last words")
            client.shutdown(socket.SHUT_WR)
            assert receive_to_end(client) == b"last words"
    wait_until(lambda: sockd.service("s")["closed"] == 30)
    assert set(closed_reasons(sockd)) == {"eof"}


def test_memory_stays_flat_while_clients_send_and_never_read(path: Path) -> None:
    sockd = path.start()
    with ExitStack() as stack:
        clients = [stack.enter_context(path.dial(sockd)) for _ in range(20)]
        before = resident(sockd.pid)
        stuffed = sum(stuff(client) for client in clients)
        assert stuffed > 20 * 100_000
        assert resident(sockd.pid) - before < 16 * MEBIBYTE
        with path.dial(sockd) as other:
            assert ask(other, b"still here") == b"still here"


def test_a_reset_in_mid_transfer_ends_that_connection_only_and_is_recorded(path: Path) -> None:
    sockd = path.start()
    with path.dial(sockd) as other:
        victim = path.dial(sockd)
        stuff(victim)
        reset(victim)
        wait_until(lambda: sockd.service("s")["closed"] == 1)
        assert closed_reasons(sockd) == ["reset"]
        assert ask(other, b"and yet") == b"and yet"
    assert sockd.service("s")["errors"] == 0


def test_a_reset_of_an_idle_connection_is_recorded(path: Path) -> None:
    sockd = path.start()
    client = path.dial(sockd)
    assert ask(client, b"x") == b"x"
    reset(client)
    wait_until(lambda: sockd.service("s")["closed"] == 1)
    assert closed_reasons(sockd) == ["eof" if path.is_tls else "reset"]


def test_one_too_many_is_turned_away_and_the_others_stay(path: Path) -> None:
    sockd = path.start("max_connections = 2\n")
    with path.dial(sockd) as first, path.dial(sockd) as second:
        assert ask(first, b"one") == b"one"
        assert ask(second, b"two") == b"two"
        with suppress(OSError), path.dial(sockd) as third:
            assert third.recv(1) == b""
        service = sockd.service("s")
        assert (service["active"], service["refused"]) == (2, 1)
        assert ask(first, b"still") == b"still"


def test_an_idle_connection_is_closed(path: Path) -> None:
    sockd = path.start("idle_timeout = 500ms\n")
    with path.dial(sockd) as client:
        assert ask(client, b"once") == b"once"
        assert receive_to_end(client) == b""
    assert wait_until(lambda: closed_reasons(sockd)) == ["idle"]


def test_live_connections_may_finish_at_the_shutdown(path: Path) -> None:
    sockd = path.start(daemon="drain = 20s\n")
    with path.dial(sockd) as client:
        assert ask(client, b"before") == b"before"
        sockd.send_signal(signal.SIGTERM)
        sockd.wait_for("Draining: 1 open connections")
        assert ask(client, b"meanwhile") == b"meanwhile"
    assert sockd.wait() == 0
    assert "eof, 15 bytes in, 15 out" in sockd.output


def test_what_does_not_finish_in_time_is_closed(path: Path) -> None:
    sockd = path.start(daemon="drain = 200ms\n")
    with path.dial(sockd) as client:
        assert ask(client, b"hello") == b"hello"
        sockd.send_signal(signal.SIGTERM)
        assert receive_to_end(client) == b""
    assert sockd.wait() == 0
    assert "stop, 5 bytes in, 5 out" in sockd.output
