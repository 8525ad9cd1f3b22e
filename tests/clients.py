"""Clients made of plain sockets."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from tests.harness import DEADLINE

LOOPBACK = "127.0.0.1"

T = TypeVar("T")


def connect(port: int, host: str = LOOPBACK) -> socket.socket:
    """Return a socket connected to a TCP port."""
    return socket.create_connection((host, port), DEADLINE)


@contextmanager
def connected(port: int, count: int, host: str = LOOPBACK) -> Iterator[list[socket.socket]]:
    """Hold so many connections open."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(port, host)) for _ in range(count)]


def receive(client: socket.socket, size: int) -> bytes:
    """Return so many bytes from a connection, fewer only if it ends before."""
    data = bytearray()
    while len(data) < size:
        chunk = client.recv(min(65536, size - len(data)))
        if not chunk:
            break
        data += chunk
    return bytes(data)


def receive_to_end(client: socket.socket) -> bytes:
    """Return everything that comes until the other side closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def ask(client: socket.socket, data: bytes) -> bytes:
    """Send, and return as many bytes."""
    client.sendall(data)
    return receive(client, len(data))


def exchange(client: socket.socket, data: bytes) -> bytes:
    """Send what may be more than the way there holds, and meanwhile receive as many bytes.

    One thread does both: two must not use a TLS socket of Python's at once.
    """
    patience = client.gettimeout()
    client.setblocking(False)
    left, answer = memoryview(data), bytearray()
    while len(answer) < len(data):
        sent = at_once(partial(client.send, left[:65536])) if left else None
        left = left[sent or 0 :]
        chunk = at_once(partial(client.recv, 65536))
        assert chunk != b"", "it closed"
        answer += chunk or b""
        if not sent and not chunk:
            ready = select.select([client], [client] if left else [], [], patience)
            assert any(ready), f"{len(answer)} bytes came back and no more"
    client.settimeout(patience)
    return bytes(answer)


def at_once(call: Callable[[], T]) -> T | None:
    """Return what a call on a socket returns, or ``None`` if that would take some time."""
    try:
        return call()
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def reset(client: socket.socket) -> None:
    """Close a connection with a reset in place of a FIN (socket(7), SO_LINGER)."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def udp_client(host: str = LOOPBACK) -> socket.socket:
    """Return a UDP socket with an address of its own."""
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(DEADLINE)
    client.bind((host, 0))
    return client
