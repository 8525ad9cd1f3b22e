"""The fast path in isolation: how connections enter and leave it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from sockd.model.address import Address
from sockd.model.ledger import Ledger
from sockd.model.records import Connection, Listener
from sockd.reactor import IReactor
from sockd.services.fastpath.connection import FastPathConnection
from sockd.services.fastpath.echoer import READ_SIZE, IEchoer, ReadWriteEchoer
from sockd.services.fastpath.fastpath import FastPath, IFastPathConnection
from sockd.services.fastpath.ring import IoUringEchoer
from sockd.services.fastpath.splice import SpliceEchoer
from tests.clients import receive, reset
from tests.paths import has_io_uring

LISTENER = Listener("tcp", Address("127.0.0.1", 65432), 50)
PEER = Address("127.0.0.1", 50001)


@implementer(IFastPathConnection)
class FakeConnection:
    """A connection that records the calls of the fast path."""

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self.is_off_fast_path = False
        self.end: Failure | None = None

    def send_blocked(self, rest: bytes) -> None:
        """Record the rest."""
        self.rest = rest

    def fast_path_closed(self) -> None:
        """Record that the fast path was closed."""
        self.is_off_fast_path = True

    def ended(self, reason: Failure) -> None:
        """Record the end."""
        self.end = reason


class FastPathFixture:
    """A fast path with one connection, with real sockets and a reactor that does nothing."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        ledger = Ledger(self.reactor.seconds)
        self.service = ledger.add_service("s", "multi", "echo")
        self.fast_path = FastPath(cast(IReactor, self.reactor), self.service)
        self.record: Connection = ledger.open(self.service, LISTENER, LISTENER.address, PEER)
        self.connection = FakeConnection()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.handle, _ = server.accept()
        self.client.settimeout(30)
        self.handle.setblocking(False)
        self.fast_path.enter(self.handle, self.record, self.connection)

    def close(self) -> None:
        """Close all sockets."""
        self.fast_path.close()
        self.client.close()
        self.handle.close()


@pytest.fixture(params=[IoUringEchoer, SpliceEchoer, ReadWriteEchoer])
def rig(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FastPathFixture]:
    """Return a fast path with one connection, with one type of echoer."""
    if request.param is IoUringEchoer and not has_io_uring():
        pytest.skip("the system has no io_uring")

    def the_only_one(_: bool) -> IEchoer:
        made: IEchoer = request.param()
        return made

    monkeypatch.setattr("sockd.services.fastpath.fastpath.best_echoer", the_only_one)
    made = FastPathFixture()
    yield made
    made.close()


def is_let_go(rig: FastPathFixture) -> bool:
    """Return whether the fast path ignores further input of a client."""
    before = rig.record.reads
    rig.client.send(b"anybody there?")
    rig.fast_path.doRead()
    return rig.record.reads == before


def test_it_provides_what_it_says(rig: FastPathFixture) -> None:
    assert verifyObject(IReadDescriptor, rig.fast_path)
    assert verifyClass(IFastPathConnection, FastPathConnection)
    assert verifyObject(IFastPathConnection, FakeConnection())


def test_the_reactor_watches_only_the_descriptor_of_the_fast_path(rig: FastPathFixture) -> None:
    assert rig.reactor.getReaders() == [rig.fast_path]
    assert rig.fast_path.fileno() not in (-1, rig.handle.fileno())


def test_what_comes_goes_back_and_is_counted_on_both_sides(rig: FastPathFixture) -> None:
    rig.reactor.advance(5)
    rig.client.send(b"hello")
    rig.fast_path.doRead()
    assert receive(rig.client, 5) == b"hello"
    for account in (rig.record, rig.service):
        assert (account.reads, account.writes, account.bytes_in, account.bytes_out) == (1, 1, 5, 5)
    assert rig.record.last_activity == 5


class BusyEchoer(ReadWriteEchoer):
    """An echoer that fails temporarily in its first call."""

    def __init__(self, results: list[int]) -> None:
        super().__init__()
        self._results = results

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Return no data, with a different error for each socket."""
        return ([self._results.pop()], [0]) if self._results else super().echo(descriptors)


def test_what_could_not_be_read_now_is_read_later(rig: FastPathFixture) -> None:
    rig.fast_path._use_echoer(BusyEchoer([-errno.EAGAIN, -errno.EINTR]))
    rig.client.send(b"hello")
    rig.fast_path.doRead()
    assert receive(rig.client, 5) == b"hello"
    assert (rig.record.reads, rig.connection.end) == (1, None)


class FailingEchoer(ReadWriteEchoer):
    """An echoer that raises an exception."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self._error = error

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Raise the exception."""
        raise self._error(errno.ENOMEM, os.strerror(errno.ENOMEM))


def test_an_echoer_that_has_read_nothing_leaves_everybody_to_the_reactor(
    rig: FastPathFixture,
) -> None:
    rig.fast_path._use_echoer(FailingEchoer(OSError))
    rig.client.send(b"hello")
    with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
        rig.fast_path.doRead()
    rig.fast_path.connectionLost(Failure(ConnectionLost()))
    assert (rig.connection.is_off_fast_path, rig.connection.end) == (True, None)
    assert rig.handle.recv(5) == b"hello"


def test_an_echoer_that_may_have_read_something_ends_whom_it_served(rig: FastPathFixture) -> None:
    rig.fast_path._use_echoer(FailingEchoer(MemoryError))
    rig.client.send(b"hello")
    with pytest.raises(MemoryError):
        rig.fast_path.doRead()
    assert rig.connection.end is not None
    assert rig.connection.end.check(ConnectionLost)
    assert is_let_go(rig)


def test_if_the_reactor_cannot_watch_the_fast_path_no_connection_is_on_it(
    rig: FastPathFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_: IReadDescriptor) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rig.fast_path.close()
    monkeypatch.setattr(rig.reactor, "addReader", is_full)
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            rig.fast_path.enter(rig.handle, rig.record, rig.connection)
        assert rig.fast_path.fileno() == -1


def test_nothing_to_read_is_nothing_to_do(rig: FastPathFixture) -> None:
    rig.fast_path.doRead()
    assert (rig.record.reads, rig.connection.end, rig.connection.rest) == (0, None, None)


@pytest.mark.parametrize("most", ["MAX_READS_PER_TURN", "MAX_BYTES_PER_TURN"])
def test_a_turn_ends_in_the_middle_of_a_flood(
    rig: FastPathFixture, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(f"sockd.services.fastpath.fastpath.{most}", 1)
    rig.client.sendall(bytes(2 * READ_SIZE))
    rig.fast_path.doRead()
    assert rig.record.reads == 1


def test_the_end_of_what_the_peer_says_ends_the_connection(rig: FastPathFixture) -> None:
    rig.client.send(b"bye")
    rig.client.shutdown(socket.SHUT_WR)
    rig.fast_path.doRead()
    assert rig.record.bytes_out == 3
    assert rig.connection.end is not None
    assert rig.connection.end.check(ConnectionDone)


def test_a_reset_ends_it_as_one(rig: FastPathFixture) -> None:
    reset(rig.client)
    rig.fast_path.doRead()
    assert rig.connection.end is not None
    assert rig.connection.end.check(ConnectionLost)


def test_a_failure_between_reading_and_writing_ends_it_as_a_reset(rig: FastPathFixture) -> None:
    rig.handle.shutdown(socket.SHUT_WR)
    rig.client.send(b"hello")
    rig.fast_path.doRead()
    assert rig.record.bytes_in == 5
    assert rig.connection.end is not None
    assert rig.connection.end.check(ConnectionLost)


def test_output_that_the_kernel_does_not_accept_leaves_the_fast_path_with_the_connection(
    rig: FastPathFixture,
) -> None:
    rig.handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    rig.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sent = b""
    while rig.connection.rest is None:
        sent += (data := os.urandom(READ_SIZE))
        rig.client.sendall(data)
        rig.fast_path.doRead()
    taken = receive(rig.client, rig.record.bytes_out - len(rig.connection.rest))
    assert taken + rig.connection.rest == sent[: rig.record.bytes_in]
    assert rig.record.bytes_out == rig.record.bytes_in
    assert is_let_go(rig)


def fill_buffers(rig: FastPathFixture) -> None:
    """Remove the connection from the fast path, and send until its client's buffers are full."""
    rig.fast_path.leave(rig.handle)
    rig.handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with suppress(BlockingIOError):
        while True:
            rig.handle.send(bytes(READ_SIZE))


class FailingConnection(FakeConnection):
    """A connection that raises an exception when it ends."""

    def ended(self, reason: Failure) -> None:
        """Raise an exception."""
        raise ValueError(reason)


def echoed_beside_an_end(rig: FastPathFixture, connection: FakeConnection) -> bytes:
    """Echo for a blocked connection and an ended one in one turn; return the sent bytes.

    :param connection: the connection that ends.
    """
    said = os.urandom(READ_SIZE)
    fill_buffers(rig)
    other = FastPathFixture()
    try:
        other.fast_path.leave(other.handle)
        rig.fast_path.enter(other.handle, other.record, connection)
        other.client.shutdown(socket.SHUT_WR)
        rig.fast_path.enter(rig.handle, rig.record, rig.connection)
        rig.client.sendall(said)
        rig.fast_path.doRead()
    finally:
        other.close()
    return said


def test_an_end_that_fails_loses_nothing_of_those_who_are_served_along_with_it(
    rig: FastPathFixture,
) -> None:
    with capturedLogs() as events:
        sent = echoed_beside_an_end(rig, FailingConnection())
    assert rig.connection.rest
    assert sent.endswith(rig.connection.rest)
    assert [event["log_failure"].type for event in events] == [ValueError]


class RemovingConnection(FakeConnection):
    """A connection whose end removes another one from the fast path."""

    def __init__(self, other: FastPathFixture) -> None:
        super().__init__()
        self._other = other

    def ended(self, reason: Failure) -> None:
        """Remove the other one."""
        self._other.fast_path.leave(self._other.handle)


def test_an_end_that_has_another_one_leave_loses_nothing_of_what_was_read(
    rig: FastPathFixture,
) -> None:
    sent = echoed_beside_an_end(rig, RemovingConnection(rig))
    assert rig.connection.rest
    assert sent.endswith(rig.connection.rest)


def test_one_that_leaves_is_left_alone(rig: FastPathFixture) -> None:
    rig.fast_path.leave(rig.handle)
    assert is_let_go(rig)
    rig.fast_path.leave(rig.handle)


def test_one_that_left_may_come_back(rig: FastPathFixture) -> None:
    rig.fast_path.leave(rig.handle)
    rig.client.send(b"wait")
    rig.fast_path.enter(rig.handle, rig.record, rig.connection)
    rig.fast_path.doRead()
    assert receive(rig.client, 4) == b"wait"


def test_a_socket_that_was_closed_behind_its_back_does_not_keep_it_from_closing(
    rig: FastPathFixture,
) -> None:
    rig.handle.close()
    rig.fast_path.close()
    assert rig.connection.is_off_fast_path
    assert rig.fast_path.fileno() == -1


def test_closing_sends_everybody_back_to_the_reactor(rig: FastPathFixture) -> None:
    rig.fast_path.close()
    assert rig.connection.is_off_fast_path
    assert (rig.fast_path.fileno(), rig.reactor.getReaders()) == (-1, [])
    assert is_let_go(rig)


def test_if_the_reactor_drops_the_fast_path_no_connection_stays_on_it(
    rig: FastPathFixture,
) -> None:
    rig.fast_path.connectionLost(Failure(ConnectionLost()))
    assert rig.connection.is_off_fast_path
