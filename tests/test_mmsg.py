"""Batches of datagrams are received, sent back and counted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sockd.net.mmsg import MOST_DATAGRAMS, Batch, kernel_name, socket_address
from tests.clients import udp_client


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """Return a bound, non-blocking socket."""
    with udp_client(request.param) as bound:
        bound.setblocking(False)
        yield bound


def test_what_came_goes_back_to_whom_it_came_from(server: socket.socket) -> None:
    batch = Batch()
    host = server.getsockname()[0]
    sizes = [0, 1, 1000, 9000, 60_000]
    with ExitStack() as stack:
        clients = [stack.enter_context(udp_client(host)) for _ in sizes]
        for _ in range(3):
            sent = [os.urandom(size) for size in sizes]
            for client, data in zip(clients, sent, strict=True):
                client.sendto(data, server.getsockname())
            assert batch.receive(server.fileno()) == len(sizes)
            assert batch.sizes() == sizes
            assert [batch.data(index) for index in range(batch.count)] == sent
            senders = [socket_address(name) for name in batch.senders()]
            assert senders == [client.getsockname() for client in clients]
            names = [kernel_name(client.getsockname()) for client in clients]
            assert names == list(batch.senders())
            assert batch.send_back(server.fileno(), batch.count) == []
            assert [client.recv(65536) for client in clients] == sent


def test_only_the_first_ones_are_sent_back_if_that_is_asked_for(server: socket.socket) -> None:
    batch = Batch()
    with udp_client(server.getsockname()[0]) as client:
        for data in (b"one", b"two", b"three"):
            client.sendto(data, server.getsockname())
        assert batch.receive(server.fileno()) == 3
        assert batch.send_back(server.fileno(), 2) == []
        assert [client.recv(10), client.recv(10)] == [b"one", b"two"]
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(10)


def test_no_more_are_taken_than_there_is_room_for(server: socket.socket) -> None:
    batch = Batch()
    with udp_client(server.getsockname()[0]) as client:
        for number in range(MOST_DATAGRAMS + 3):
            client.sendto(bytes([number]), server.getsockname())
    assert batch.receive(server.fileno()) == MOST_DATAGRAMS
    assert batch.receive(server.fileno()) == 3
    assert batch.data(2) == bytes([MOST_DATAGRAMS + 2])
    assert batch.receive(server.fileno()) == 0


def test_those_that_the_system_does_not_take_are_named(server: socket.socket) -> None:
    batch = Batch()
    with udp_client(server.getsockname()[0]) as client:
        for data in (b"one", b"two"):
            client.sendto(data, server.getsockname())
        assert batch.receive(server.fileno()) == 2
        assert batch.send_back(-1, 2) == [0, 1]
