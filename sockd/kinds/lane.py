"""The fast lane: plain TCP is echoed without a trip round the reactor for each message.

Twisted's own way costs two such trips, one to read and one to write. Here the reactor watches one
descriptor, an epoll(7) of the lane's own, and a turn of :meth:`Lane.doRead` has an echoer read and
write for every connection that has something to say. Twisted stays in charge of the connections:
one that enters has paused its transport, and the lane does nothing but read and write. As soon as
the kernel does not take all that was read, the connection leaves, with the rest for its transport,
which knows how to wait; it may come back when all is sent. And when a connection ends, the lane
tells it what the reactor would tell it.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterable
from errno import EIO

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from sockd.kinds.choice import best_echoer
from sockd.kinds.echoer import LATER, PLACES, READ_SIZE, IEchoer, OneByOne
from sockd.reactor import IReactor
from sockd.records import Connection, ServiceRecord

IS_AVAILABLE = sys.platform == "linux"

MOST_READS = 256
MOST_BYTES = 16 * READ_SIZE
"""A turn that has read so much ends with what is at hand: after some milliseconds."""

_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())


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

    _log = Logger()

    def __init__(self, reactor: IReactor, service: ServiceRecord) -> None:
        self._reactor = reactor
        self._service = service
        self._epoll: select.epoll | None = None
        self._may_use_io_uring = True
        self._echoer: IEchoer = OneByOne()
        self._riders: dict[int, tuple[Connection, IRider]] = {}

    def enter(self, handle: socket.socket, record: Connection, rider: IRider) -> None:
        """Echo what a socket receives from now on; nothing may wait to be sent on it.

        :raise OSError: if the system has no room for it (epoll_create(2), epoll_ctl(2)).
        """
        epoll = self._epoll or self._open()
        descriptor = handle.fileno()
        epoll.register(descriptor, select.EPOLLIN)
        self._riders[descriptor] = record, rider

    def allow(self, io_uring: bool) -> None:
        """Say whether messages may go by io_uring(7) from now on, where the system has it."""
        if io_uring != self._may_use_io_uring:
            self._may_use_io_uring = io_uring
            if self._epoll is not None:
                self._echo_by(best_echoer(io_uring))

    def leave(self, handle: socket.socket) -> None:
        """Leave a socket to its transport; do nothing if it is not here."""
        if handle.fileno() in self._riders:
            self._remove(handle.fileno())

    def close(self) -> None:
        """Give the descriptor back; whoever is still here goes on without the lane."""
        if self._epoll is not None:
            for descriptor, (_, rider) in tuple(self._riders.items()):
                self._remove(descriptor)
                rider.lane_closed()
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None
            self._echo_by(OneByOne())

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
            ready = self._epoll.poll(0, PLACES)
            if not ready:
                break
            size += self._echo([descriptor for descriptor, _ in ready])
            reads += len(ready)

    def _open(self) -> select.epoll:
        epoll = self._epoll = select.epoll()
        try:
            self._reactor.addReader(self)
        except OSError:
            self._epoll = None
            epoll.close()
            raise
        self._echo_by(best_echoer(self._may_use_io_uring))
        return epoll

    def _echo(self, descriptors: list[int]) -> int:
        """Serve those that have something to say; return how many bytes that was.

        All is counted before anybody is told of an end.
        """
        echoer = self._echoer
        received, sent = self._serve(echoer, descriptors)
        if received == sent and 0 not in received:
            return self._count(descriptors, received)
        size = 0
        heard = [place for place, got in enumerate(received) if got > 0]
        if heard:
            sizes = [received[place] for place in heard]
            size = self._count([descriptors[place] for place in heard], sizes)
        leaving = [
            (self._off(descriptor), received[place], echoer.unsent(place))
            for place, descriptor in enumerate(descriptors)
            if received[place] not in LATER and not received[place] == sent[place] > 0
        ]
        self._let_go(leaving)
        return size

    def _serve(self, echoer: IEchoer, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read and write; end them all if it is not known what of theirs was read, and where it is.

        To go on would be to leave something out.
        """
        try:
            results: tuple[list[int], list[int]] = echoer.echo(descriptors)
        except OSError:
            raise
        except Exception:
            self._let_go([(self._off(descriptor), -EIO, b"") for descriptor in descriptors])
            raise
        return results

    def _count(self, descriptors: list[int], sizes: list[int]) -> int:
        """Enter messages of so many bytes in the ledger; return how many bytes they have in all."""
        now, size = self._reactor.seconds(), sum(sizes)
        riders = self._riders
        for descriptor, length in zip(descriptors, sizes, strict=True):
            riders[descriptor][0].echoed(length, now)
        self._service.echoed(len(sizes), size)
        return size

    def _let_go(self, leaving: Iterable[tuple[IRider, int, bytes]]) -> None:
        """Part with connections whose peers do not keep up, or that have come to an end.

        They are off the lane, whatever one of them does to the others. If one does not take it
        well, they have their turn all the same: what was read of theirs is nowhere but here.

        :param leaving: what was read last, as a size or an error, and the rest of it, if there is.
        """
        for rider, got, rest in leaving:
            try:
                if rest:
                    rider.fell_behind(rest)
                else:
                    rider.ended(_LOST if got else _DONE)
            except Exception:
                self._log.failure("A connection failed as it left the lane")

    def _off(self, descriptor: int) -> IRider:
        """Take a connection off the lane, before it is told why."""
        _, rider = self._riders[descriptor]
        self._remove(descriptor)
        return rider

    def _echo_by(self, echoer: IEchoer) -> None:
        self._echoer.close()
        self._echoer = echoer

    def _remove(self, descriptor: int) -> None:
        del self._riders[descriptor]
        if self._epoll is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:  # somebody at the prompt has closed the socket itself
                return
