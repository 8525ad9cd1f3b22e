"""The fast lane: plain TCP is echoed without a trip round the reactor for each message.

Twisted's own way costs two such trips, one to read and one to write. Here the reactor watches one
descriptor, an epoll(7) of the lane's own, and a turn of :meth:`Lane.doRead` reads and writes for
every connection that has something to say. Twisted stays in charge of the connections: one that
enters has paused its transport, and the lane does nothing but read and write. As soon as the
kernel does not take all that was read, the connection leaves, with the rest for its transport,
which knows how to wait; it may come back when all is sent. And when a connection ends, the lane
tells it what the reactor would tell it.
"""

from __future__ import annotations

import select
import socket
import sys
from os import read, write

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from sockd.reactor import IReactor
from sockd.records import Connection, ServiceRecord

IS_AVAILABLE = sys.platform == "linux"

READ_SIZE = 65536
"""How many bytes one read may bring, the same as in Twisted."""

MOST_READS = 64
MOST_BYTES = 16 * READ_SIZE
"""A turn that has read so much ends with what is at hand: after some milliseconds."""

_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())

_END = -1
_BREAK = -2
"""In place of how much was written: there is no more to come, or nobody to write to."""


class IRider(Interface):
    """A connection that takes the lane. Whatever it is told, it is not on the lane any more."""

    def fell_behind(rest: bytes) -> None:
        """Send what the kernel did not take, and come back when that is done."""

    def lane_closed() -> None:
        """Go on without it."""

    def ended(reason: Failure) -> None:
        """Close, for a reason that Twisted's transports know."""


@implementer(IReadDescriptor)
class Lane:
    """The connections of a service that are echoed past the reactor."""

    def __init__(self, reactor: IReactor, service: ServiceRecord) -> None:
        self._reactor = reactor
        self._service = service
        self._epoll: select.epoll | None = None
        self._places: dict[int, tuple[Connection, IRider]] = {}

    def enter(self, handle: socket.socket, record: Connection, rider: IRider) -> None:
        """Echo what a socket receives from now on; nothing may wait to be sent on it.

        :raise OSError: if the system has no room for it (epoll_create(2), epoll_ctl(2)).
        """
        if self._epoll is None:
            self._epoll = select.epoll()
            self._reactor.addReader(self)
        descriptor = handle.fileno()
        self._epoll.register(descriptor, select.EPOLLIN)
        self._places[descriptor] = record, rider

    def leave(self, handle: socket.socket) -> None:
        """Leave a socket to its transport; do nothing if it is not here."""
        if handle.fileno() in self._places:
            self._remove(handle.fileno())

    def close(self) -> None:
        """Give the descriptor back; whoever is still here goes on without the lane."""
        if self._epoll is not None:
            for descriptor, (_, rider) in tuple(self._places.items()):
                self._remove(descriptor)
                rider.lane_closed()
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

    def fileno(self) -> int:
        """Return the descriptor, readable as soon as one of the sockets is; -1 once closed."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted's log lines call it."""
        return "lane"

    def connectionLost(self, reason: Failure) -> None:
        """Close; the reactor gives the descriptor up."""
        self.close()

    def doRead(self) -> None:
        """Echo what has arrived, and what arrives meanwhile, but not all of a flood."""
        reads = size = 0
        while self._epoll is not None and reads < MOST_READS and size < MOST_BYTES:
            ready = self._epoll.poll(0, MOST_READS)
            if not ready:
                break
            size += self._echo(ready)
            reads += len(ready)

    def _echo(self, ready: list[tuple[int, int]]) -> int:
        """Serve those that have something to say; return how many bytes that was.

        The system calls and this loop are all that a message costs, so the loop makes no call that
        can be made once for all. Whoever is told of an end finds everything counted.
        """
        now = self._reactor.seconds()
        messages = size = 0
        ends = []
        for descriptor, _ in ready:
            record, rider = self._places[descriptor]
            data = b""
            try:
                data = read(descriptor, READ_SIZE)
                sent = write(descriptor, data) if data else _END
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = _BREAK
            length = len(data)
            if length:
                record.echoed(length, now)
                messages += 1
                size += length
            if sent < 0:
                ends.append((descriptor, rider, _DONE if sent == _END else _LOST))
            elif sent < length:
                self._remove(descriptor)
                rider.fell_behind(data[sent:])
        self._service.echoed(messages, size)
        for descriptor, rider, reason in ends:
            self._remove(descriptor)
            rider.ended(reason)
        return size

    def _remove(self, descriptor: int) -> None:
        del self._places[descriptor]
        if self._epoll is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:  # somebody at the prompt has closed the socket itself
                return
