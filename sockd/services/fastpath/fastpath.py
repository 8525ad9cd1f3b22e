"""The fast path: plain TCP is echoed without a turn of the reactor for each message.

Twisted makes two turns, one to read and one to write. Here the reactor watches one descriptor, an
epoll(7) instance of the fast path, and :meth:`FastPath.doRead` has an echoer read and write for
every connection that is readable. Twisted stays in charge of the connections: a transport is
paused while its connection is on the fast path, which only reads and writes. When the kernel does
not take all that was read, the connection goes back to its transport together with the rest, and
may return when all of it is sent. When a connection ends, the fast path calls its transport as the
reactor would.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterable
from errno import EIO

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from sockd.model.records import Connection, ServiceRecord
from sockd.reactor import IReactor
from sockd.services.fastpath.adaptive import best_echoer
from sockd.services.fastpath.echoer import LATER, MOST_SOCKETS, READ_SIZE, IEchoer, ReadWriteEchoer
from sockd.support.logger import PartLogger

HAS_EPOLL = sys.platform == "linux"

FAST_PATH_DESCRIPTORS = 6
"""An epoll(7) instance, an io_uring(7) with two more for its memory, a pipe(7)."""

MOST_READS = 256
MOST_BYTES = 16 * READ_SIZE
"""A turn that has read so much ends with what is at hand: after some milliseconds."""

_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())


class IFastPathConnection(Interface):
    """A connection that takes the lane. Whatever it is told, it is not on the lane any more."""

    def send_blocked(rest: bytes) -> None:
        """Send what the kernel did not take, and come back when that is done."""

    def fast_path_closed() -> None:
        """Go on without it."""

    def ended(reason: Failure) -> None:
        """Close, for a reason that Twisted's transports know."""


@implementer(IReadDescriptor)
class FastPath:
    """The connections of a service that are echoed past the reactor."""

    _log = PartLogger("sockd")

    def __init__(self, reactor: IReactor, service: ServiceRecord) -> None:
        self._reactor = reactor
        self._service = service
        self._epoll: select.epoll | None = None
        self._may_use_io_uring = True
        self._echoer: IEchoer = ReadWriteEchoer()
        self._connections: dict[int, tuple[Connection, IFastPathConnection]] = {}

    def enter(
        self, handle: socket.socket, record: Connection, connection: IFastPathConnection
    ) -> None:
        """Echo what a socket receives from now on; nothing may wait to be sent on it.

        :raise OSError: if the system has no room for it (epoll_create(2), epoll_ctl(2)).
        """
        epoll = self._epoll or self._open()
        descriptor = handle.fileno()
        epoll.register(descriptor, select.EPOLLIN)
        self._connections[descriptor] = record, connection

    def allow(self, io_uring: bool) -> None:
        """Say whether messages may go by io_uring(7) from now on, where the system has it."""
        if io_uring != self._may_use_io_uring:
            self._may_use_io_uring = io_uring
            if self._epoll is not None:
                self._echo_by(best_echoer(io_uring))

    def leave(self, handle: socket.socket) -> None:
        """Leave a socket to its transport; do nothing if it is not here."""
        if handle.fileno() in self._connections:
            self._remove(handle.fileno())

    def close(self) -> None:
        """Give the descriptor back; whoever is still here goes on without the lane."""
        if self._epoll is not None:
            for descriptor, (_, connection) in tuple(self._connections.items()):
                self._remove(descriptor)
                connection.fast_path_closed()
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None
            self._echo_by(ReadWriteEchoer())

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
            ready = self._epoll.poll(0, MOST_SOCKETS)
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
        heard = [index for index, got in enumerate(received) if got > 0]
        if heard:
            sizes = [received[index] for index in heard]
            size = self._count([descriptors[index] for index in heard], sizes)
        leaving = [
            (self._off(descriptor), received[index], echoer.unsent(index))
            for index, descriptor in enumerate(descriptors)
            if received[index] not in LATER and not received[index] == sent[index] > 0
        ]
        self._release(leaving)
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
            self._release([(self._off(descriptor), -EIO, b"") for descriptor in descriptors])
            raise
        return results

    def _count(self, descriptors: list[int], sizes: list[int]) -> int:
        """Enter messages of so many bytes in the ledger; return how many bytes they have in all."""
        now, size = self._reactor.seconds(), sum(sizes)
        connections = self._connections
        for descriptor, length in zip(descriptors, sizes, strict=True):
            connections[descriptor][0].echoed(length, now)
        self._service.echoed(len(sizes), size)
        return size

    def _release(self, leaving: Iterable[tuple[IFastPathConnection, int, bytes]]) -> None:
        """Part with connections whose peers do not keep up, or that have come to an end.

        They are off the lane, whatever one of them does to the others. If one does not take it
        well, they have their turn all the same: what was read of theirs is nowhere but here.

        :param leaving: what was read last, as a size or an error, and the rest of it, if there is.
        """
        for connection, got, rest in leaving:
            try:
                if rest:
                    connection.send_blocked(rest)
                else:
                    connection.ended(_LOST if got else _DONE)
            except Exception:
                self._log.failure("A connection failed as it left the lane")

    def _off(self, descriptor: int) -> IFastPathConnection:
        """Take a connection off the lane, before it is told why."""
        _, connection = self._connections[descriptor]
        self._remove(descriptor)
        return connection

    def _echo_by(self, echoer: IEchoer) -> None:
        self._echoer.close()
        self._echoer = echoer

    def _remove(self, descriptor: int) -> None:
        del self._connections[descriptor]
        if self._epoll is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:  # somebody at the prompt has closed the socket itself
                return
