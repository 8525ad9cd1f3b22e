"""The lane by itself: what it does with a connection, and when it lets it go."""

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

from sockd.address import Address
from sockd.kinds.connection import StreamConnection
from sockd.kinds.echoer import READ_SIZE, IEchoer, OneByOne
from sockd.kinds.lane import IRider, Lane
from sockd.kinds.ring import Ring
from sockd.kinds.splicer import Splicer
from sockd.ledger import Ledger
from sockd.reactor import IReactor
from sockd.records import Connection, Listener
from tests.clients import receive, reset
from tests.paths import has_io_uring

LISTENER = Listener("tcp", Address("127.0.0.1", 65432), 50)
PEER = Address("127.0.0.1", 50001)


@implementer(IRider)
class Rider:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self.is_without_lane = False
        self.end: Failure | None = None

    def fell_behind(self, rest: bytes) -> None:
        """Take note of the rest."""
        self.rest = rest

    def lane_closed(self) -> None:
        """Take note that there is no lane any more."""
        self.is_without_lane = True

    def ended(self, reason: Failure) -> None:
        """Take note of the end."""
        self.end = reason


class Road:
    """A lane with one connection on it, over real sockets, and a reactor that does nothing."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        ledger = Ledger(self.reactor.seconds)
        self.service = ledger.enrol("s", "multi", "echo")
        self.lane = Lane(cast(IReactor, self.reactor), self.service)
        self.record: Connection = ledger.open(self.service, LISTENER, LISTENER.address, PEER)
        self.rider = Rider()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.handle, _ = server.accept()
        self.client.settimeout(30)
        self.handle.setblocking(False)
        self.lane.enter(self.handle, self.record, self.rider)

    def close(self) -> None:
        """Close what is open."""
        self.lane.close()
        self.client.close()
        self.handle.close()


@pytest.fixture(params=[Ring, Splicer, OneByOne])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    """Make a lane with one connection, which is served by one sort of echoer."""
    if request.param is Ring and not has_io_uring():
        pytest.skip("the system has no io_uring")

    def the_only_one(_: bool) -> IEchoer:
        made: IEchoer = request.param()
        return made

    monkeypatch.setattr("sockd.kinds.lane.best_echoer", the_only_one)
    made = Road()
    yield made
    made.close()


def is_let_go(road: Road) -> bool:
    """Return whether the lane leaves alone what a client says next."""
    before = road.record.reads
    road.client.send(b"anybody there?")
    road.lane.doRead()
    return road.record.reads == before


def test_it_provides_what_it_says(road: Road) -> None:
    assert verifyObject(IReadDescriptor, road.lane)
    assert verifyClass(IRider, StreamConnection)
    assert verifyObject(IRider, Rider())


def test_the_reactor_watches_the_lane_and_nothing_else_of_it(road: Road) -> None:
    assert road.reactor.getReaders() == [road.lane]
    assert road.lane.fileno() not in (-1, road.handle.fileno())


def test_what_comes_goes_back_and_is_counted_on_both_sides(road: Road) -> None:
    road.reactor.advance(5)
    road.client.send(b"hello")
    road.lane.doRead()
    assert receive(road.client, 5) == b"hello"
    for account in (road.record, road.service):
        assert (account.reads, account.writes, account.bytes_in, account.bytes_out) == (1, 1, 5, 5)
    assert road.record.last_activity == 5


class BusyAtFirst(OneByOne):
    """Does nothing when it is called first."""

    def __init__(self, results: list[int]) -> None:
        super().__init__()
        self._results = results

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Say that there was nothing to read, for one reason after the other."""
        return ([self._results.pop()], [0]) if self._results else super().echo(descriptors)


def test_what_could_not_be_read_now_is_read_later(road: Road) -> None:
    road.lane._echo_by(BusyAtFirst([-errno.EAGAIN, -errno.EINTR]))
    road.client.send(b"hello")
    road.lane.doRead()
    assert receive(road.client, 5) == b"hello"
    assert (road.record.reads, road.rider.end) == (1, None)


class Breaks(OneByOne):
    """Breaks off, with the error of a system that has no memory left."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self._error = error

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read and write nothing."""
        raise self._error(errno.ENOMEM, os.strerror(errno.ENOMEM))


def test_an_echoer_that_has_read_nothing_leaves_everybody_to_the_reactor(road: Road) -> None:
    road.lane._echo_by(Breaks(OSError))
    road.client.send(b"hello")
    with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
        road.lane.doRead()
    road.lane.connectionLost(Failure(ConnectionLost()))
    assert (road.rider.is_without_lane, road.rider.end) == (True, None)
    assert road.handle.recv(5) == b"hello"


def test_an_echoer_that_may_have_read_something_ends_whom_it_served(road: Road) -> None:
    road.lane._echo_by(Breaks(MemoryError))
    road.client.send(b"hello")
    with pytest.raises(MemoryError):
        road.lane.doRead()
    assert road.rider.end is not None
    assert road.rider.end.check(ConnectionLost)
    assert is_let_go(road)


def test_a_reactor_that_cannot_watch_the_lane_has_nobody_on_it(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_: IReadDescriptor) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    road.lane.close()
    monkeypatch.setattr(road.reactor, "addReader", is_full)
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            road.lane.enter(road.handle, road.record, road.rider)
        assert road.lane.fileno() == -1


def test_nothing_to_read_is_nothing_to_do(road: Road) -> None:
    road.lane.doRead()
    assert (road.record.reads, road.rider.end, road.rider.rest) == (0, None, None)


@pytest.mark.parametrize("most", ["MOST_READS", "MOST_BYTES"])
def test_a_turn_ends_in_the_middle_of_a_flood(
    road: Road, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(f"sockd.kinds.lane.{most}", 1)
    road.client.sendall(bytes(2 * READ_SIZE))
    road.lane.doRead()
    assert road.record.reads == 1


def test_the_end_of_what_the_peer_says_ends_the_connection(road: Road) -> None:
    road.client.send(b"bye")
    road.client.shutdown(socket.SHUT_WR)
    road.lane.doRead()
    assert road.record.bytes_out == 3
    assert road.rider.end is not None
    assert road.rider.end.check(ConnectionDone)


def test_a_reset_ends_it_as_one(road: Road) -> None:
    reset(road.client)
    road.lane.doRead()
    assert road.rider.end is not None
    assert road.rider.end.check(ConnectionLost)


def test_a_failure_between_reading_and_writing_ends_it_as_a_reset(road: Road) -> None:
    road.handle.shutdown(socket.SHUT_WR)
    road.client.send(b"hello")
    road.lane.doRead()
    assert road.record.bytes_in == 5
    assert road.rider.end is not None
    assert road.rider.end.check(ConnectionLost)


def test_what_the_kernel_does_not_take_leaves_the_lane_with_the_connection(road: Road) -> None:
    road.handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    road.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sent = b""
    while road.rider.rest is None:
        sent += (data := os.urandom(READ_SIZE))
        road.client.sendall(data)
        road.lane.doRead()
    taken = receive(road.client, road.record.bytes_out - len(road.rider.rest))
    assert taken + road.rider.rest == sent[: road.record.bytes_in]
    assert road.record.bytes_out == road.record.bytes_in
    assert is_let_go(road)


def clog(road: Road) -> None:
    """Take the connection off the lane, and send until its client takes no more."""
    road.lane.leave(road.handle)
    road.handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with suppress(BlockingIOError):
        while True:
            road.handle.send(bytes(READ_SIZE))


class BadRider(Rider):
    """Does not bear to hear of the end."""

    def ended(self, reason: Failure) -> None:
        """Raise something."""
        raise ValueError(reason)


def served_beside_an_end(road: Road, rider: Rider) -> bytes:
    """Serve one whose client takes nothing along with one that ends; return what it has said.

    :param rider: who hears of the end.
    """
    said = os.urandom(READ_SIZE)
    clog(road)
    other = Road()
    try:
        other.lane.leave(other.handle)
        road.lane.enter(other.handle, other.record, rider)
        other.client.shutdown(socket.SHUT_WR)
        road.lane.enter(road.handle, road.record, road.rider)
        road.client.sendall(said)
        road.lane.doRead()
    finally:
        other.close()
    return said


def test_an_end_that_fails_loses_nothing_of_those_who_are_served_along_with_it(road: Road) -> None:
    with capturedLogs() as events:
        precious = served_beside_an_end(road, BadRider())
    assert road.rider.rest
    assert precious.endswith(road.rider.rest)
    assert [event["log_failure"].type for event in events] == [ValueError]


class Spiteful(Rider):
    """Has another one leave the lane at its own end, as who disconnects it would."""

    def __init__(self, other: Road) -> None:
        super().__init__()
        self._other = other

    def ended(self, reason: Failure) -> None:
        """Let the other one go."""
        self._other.lane.leave(self._other.handle)


def test_an_end_that_has_another_one_leave_loses_nothing_of_what_was_read(road: Road) -> None:
    precious = served_beside_an_end(road, Spiteful(road))
    assert road.rider.rest
    assert precious.endswith(road.rider.rest)


def test_one_that_leaves_is_left_alone(road: Road) -> None:
    road.lane.leave(road.handle)
    assert is_let_go(road)
    road.lane.leave(road.handle)


def test_one_that_left_may_come_back(road: Road) -> None:
    road.lane.leave(road.handle)
    road.client.send(b"wait")
    road.lane.enter(road.handle, road.record, road.rider)
    road.lane.doRead()
    assert receive(road.client, 4) == b"wait"


def test_a_socket_that_was_closed_behind_its_back_does_not_keep_it_from_closing(
    road: Road,
) -> None:
    road.handle.close()
    road.lane.close()
    assert road.rider.is_without_lane
    assert road.lane.fileno() == -1


def test_closing_sends_everybody_back_to_the_reactor(road: Road) -> None:
    road.lane.close()
    assert road.rider.is_without_lane
    assert (road.lane.fileno(), road.reactor.getReaders()) == (-1, [])
    assert is_let_go(road)


def test_a_reactor_that_gives_the_lane_up_leaves_nobody_on_it(road: Road) -> None:
    road.lane.connectionLost(Failure(ConnectionLost()))
    assert road.rider.is_without_lane
