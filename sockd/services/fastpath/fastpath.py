"""The fast path: plain TCP is echoed without a turn of the reactor for each message.

Twisted needs two reactor turns for a message, one to read and one to write. Here the reactor
watches one descriptor, an epoll(7) instance of the fast path. :meth:`FastPath.doRead` makes an
echoer read and write for every readable connection.

Twisted's transports still own the connections. A transport is paused while its connection is on
the fast path. If the kernel does not accept all output, the connection returns to its transport
together with the unsent bytes, and may enter the fast path again when they are sent. When a
connection ends, the fast path calls its transport as the reactor would.
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
"""An epoll(7) instance, an io_uring(7) with two mappings that hold one each, and a pipe(7)."""

MAX_READS_PER_TURN = 256
MAX_BYTES_PER_TURN = 16 * READ_SIZE
"""Limits of one reactor turn, which ends after a few milliseconds."""

_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())


class IFastPathConnection(Interface):
    """A connection on the fast path; it is removed before each of these calls."""

    def send_blocked(rest: bytes) -> None:
        """Send the bytes that the kernel did not accept; enter the fast path again afterwards."""

    def fast_path_closed() -> None:
        """Continue without the fast path."""

    def ended(reason: Failure) -> None:
        """Close the connection.

        :param reason: as for ``connectionLost`` of Twisted's transports.
        """


@implementer(IReadDescriptor)
class FastPath:
    """The connections of a service that are on the fast path."""

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
        """Echo the input of a socket from now on; it must not have pending output.

        :raise OSError: if the system has no resources for it (epoll_create(2), epoll_ctl(2)).
        """
        epoll = self._epoll or self._open()
        descriptor = handle.fileno()
        epoll.register(descriptor, select.EPOLLIN)
        self._connections[descriptor] = record, connection

    def allow(self, io_uring: bool) -> None:
        """Set whether io_uring(7) may be used, if the system has it."""
        if io_uring != self._may_use_io_uring:
            self._may_use_io_uring = io_uring
            if self._epoll is not None:
                self._use_echoer(best_echoer(io_uring))

    def leave(self, handle: socket.socket) -> None:
        """Return a socket to its transport; do nothing if it is not on the fast path."""
        if handle.fileno() in self._connections:
            self._remove(handle.fileno())

    def close(self) -> None:
        """Return all connections to their transports and close the epoll(7) instance."""
        if self._epoll is not None:
            for descriptor, (_, connection) in tuple(self._connections.items()):
                self._remove(descriptor)
                connection.fast_path_closed()
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None
            self._use_echoer(ReadWriteEchoer())

    def fileno(self) -> int:
        """Return the epoll(7) descriptor, or -1 if it is closed."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        """Return the name that Twisted uses in its log lines."""
        return "fast path"

    def connectionLost(self, reason: Failure) -> None:
        """Close: the reactor has dropped the descriptor."""
        self.close()

    def doRead(self) -> None:
        """Echo all input, within the limits of one reactor turn."""
        reads = size = 0
        while self._epoll is not None and reads < MAX_READS_PER_TURN and size < MAX_BYTES_PER_TURN:
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
        self._use_echoer(best_echoer(self._may_use_io_uring))
        return epoll

    def _echo(self, descriptors: list[int]) -> int:
        """Echo the input of readable sockets; return the number of bytes.

        All bytes are counted before the first connection is notified of its end.
        """
        echoer = self._echoer
        received, sent = self._read_and_write(echoer, descriptors)
        if received == sent and 0 not in received:
            return self._count(descriptors, received)
        size = 0
        with_data = [index for index, got in enumerate(received) if got > 0]
        if with_data:
            sizes = [received[index] for index in with_data]
            size = self._count([descriptors[index] for index in with_data], sizes)
        leaving = [
            (self._pop(descriptor), received[index], echoer.unsent(index))
            for index, descriptor in enumerate(descriptors)
            if received[index] not in LATER and not received[index] == sent[index] > 0
        ]
        self._release(leaving)
        return size

    def _read_and_write(
        self, echoer: IEchoer, descriptors: list[int]
    ) -> tuple[list[int], list[int]]:
        """Call the echoer; end all connections if it is unknown what was read.

        To continue them could lose bytes of the stream.
        """
        try:
            results: tuple[list[int], list[int]] = echoer.echo(descriptors)
        except OSError:
            raise
        except Exception:
            self._release([(self._pop(descriptor), -EIO, b"") for descriptor in descriptors])
            raise
        return results

    def _count(self, descriptors: list[int], sizes: list[int]) -> int:
        """Count one message per descriptor in the ledger; return the sum of the sizes."""
        now, size = self._reactor.seconds(), sum(sizes)
        connections = self._connections
        for descriptor, length in zip(descriptors, sizes, strict=True):
            connections[descriptor][0].echoed(length, now)
        self._service.echoed(len(sizes), size)
        return size

    def _release(self, leaving: Iterable[tuple[IFastPathConnection, int, bytes]]) -> None:
        """Return blocked connections to Twisted; close the ended ones.

        An exception in one connection does not affect the others: their unsent bytes exist only
        here.

        :param leaving: the connection, the result of the last read, and the unsent bytes.
        """
        for connection, got, rest in leaving:
            try:
                if rest:
                    connection.send_blocked(rest)
                else:
                    connection.ended(_LOST if got else _DONE)
            except Exception:
                self._log.failure("A connection failed when it left the fast path")

    def _pop(self, descriptor: int) -> IFastPathConnection:
        """Remove a connection from the fast path and return it."""
        _, connection = self._connections[descriptor]
        self._remove(descriptor)
        return connection

    def _use_echoer(self, echoer: IEchoer) -> None:
        self._echoer.close()
        self._echoer = echoer

    def _remove(self, descriptor: int) -> None:
        del self._connections[descriptor]
        if self._epoll is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:  # the socket was closed elsewhere, for example from the admin shell
                return
