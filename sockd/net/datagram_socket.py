"""A UDP socket that answers from the address it was asked at.

Twisted's own UDP port sends from whatever address routing picks, so that on a wildcard bind a
client who asked 127.0.0.2 is answered from 127.0.0.1 and never sees it; it also drops the scope
that link-local peers need. Here, where the system has ``IP_PKTINFO`` (ip(7)) and
``IPV6_RECVPKTINFO`` (RFC 3542), the destination of each datagram comes with it and is the source
of the answer; elsewhere, and on sockets bound to one address, plain ``recvfrom`` and ``sendto``
do.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import TypeAlias

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.config.endpoint import SYSTEMD, Endpoint
from sockd.model.address import ALL_IPV4, ALL_IPV6, Address
from sockd.model.ip import normalised
from sockd.net.destination import reaches_many
from sockd.net.mmsg import MOST_DATAGRAMS, Batch, SocketAddress, kernel_name, socket_address
from sockd.net.server_endpoints import passed_socket
from sockd.reactor import IReactor

MAX_DATAGRAMS_PER_TURN = 256
"""How many datagrams one round of the reactor reads, however short they are."""

_LARGEST = 65536
_ANCILLARY_SIZE = 256
"""A socket that was passed may tell more than was asked for here, and that comes first."""
_IP_PKTINFO: int | None = 8 if sys.platform == "linux" else None
_IN_PKTINFO = struct.Struct("@I4s4s")
_IN6_PKTINFO = struct.Struct("@16sI")
_APART = 8
"""The length of a source that is another address than the one that was asked."""
_LINK_LOCAL = (b"\xfe\x80", b"\xff\x02")
_MULTICAST = b"\xff"

Peer: TypeAlias = SocketAddress | bytes
"""Who sent a datagram: as Python's sockets say it, or in a batch as the kernel does."""

Receiver: TypeAlias = Callable[["DatagramSocket", bytes, Peer, bytes], None]
Echo: TypeAlias = Callable[["DatagramSocket", Batch], int]
Loser: TypeAlias = Callable[["DatagramSocket", Failure], None]


@implementer(IReadDescriptor)
class DatagramSocket:
    """One bound UDP endpoint.

    :ivar address: what it is bound to, once it is.
    :ivar received: called with this socket, a datagram, the sender, and the *source*: an opaque
        word for the local address that was asked, to be handed back to :meth:`send`.
    :ivar echo: called with a batch of datagrams; sends the first of them back, as many as may be,
        and returns how many. The others are received one by one. ``None``: all of them are.
    :ivar lost: called with this socket and the reason when the reactor has given it up, which it
        does where an exception comes out of :meth:`doRead`; it is closed then.
    """

    def __init__(
        self, reactor: IReactor, endpoint: Endpoint, received: Receiver | None = None
    ) -> None:
        self._reactor = reactor
        self.endpoint = endpoint
        self.received = received
        self.echo: Echo | None = None
        self.lost: Loser | None = None
        self._batch: Batch | None = None
        self._buffer = bytearray(_LARGEST)
        self._view = memoryview(self._buffer)
        self._socket: socket.socket | None = None
        self._tells_destination = False

    def bind(self) -> Address:
        """Bind the endpoint and return the address that it has now.

        :raise OSError: if it cannot be had.
        :raise InvalidValue: if the service manager was to pass it, and did not.
        """
        bound = self._passed() if self.endpoint.kind == SYSTEMD else self._made()
        try:
            bound.setblocking(False)
            self._tells_destination = _ask_for_destination(bound)
        except OSError:
            bound.close()
            raise
        self._socket = bound
        self.address = peer_address(bound.getsockname())
        self._is_for_many = reaches_many(self.address.host)
        return self.address

    def start(self) -> None:
        """Begin to read."""
        self._reactor.addReader(self)

    def pause(self) -> None:
        """Leave what arrives in the kernel's buffer."""
        self._reactor.removeReader(self)

    def close(self) -> None:
        """Stop reading and give the port back."""
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None

    def local(self, source: bytes) -> Address:
        """Return the local address that a datagram was sent to."""
        if not source:
            return self.address
        if len(source) in (4, _APART):
            return Address(socket.inet_ntop(socket.AF_INET, source[:4]), self.address.port)
        host = normalised(socket.inet_ntop(socket.AF_INET6, source[:16]))
        if len(source) > 16:
            host = _with_scope(host, int.from_bytes(source[16:], sys.byteorder))
        return Address(host, self.address.port)

    def named(self, peer: Peer) -> Peer:
        """Return a peer as :attr:`received` names it from now on, which :attr:`echo` decides."""
        if isinstance(peer, bytes):
            return peer if self._batch_echo else socket_address(peer)
        return kernel_name(peer) if self._batch_echo else peer

    def is_for_many(self, source: bytes) -> bool:
        """Return whether a datagram was sent to a multicast or broadcast address.

        On a socket for all addresses that can be told where the system tells the destination.

        :raise OSError: if the system cannot be asked now, for want of a descriptor.
        """
        if not source:
            return self._is_for_many
        if len(source) == _APART:
            return True
        return len(source) > 4 and reaches_many(socket.inet_ntop(socket.AF_INET6, source[:16]))

    def send(self, data: bytes, peer: Peer, source: bytes) -> None:
        """Send a datagram from the address that was asked.

        :raise OSError: if the system does not take it: too long for the route, no room in the
            socket's buffer, an address that cannot be answered.
        """
        if self._socket is None:
            return
        if isinstance(peer, bytes):
            peer = socket_address(peer)
        if source:
            self._socket.sendmsg([data], [_source_option(source)], 0, peer)
        else:
            self._socket.sendto(data, peer)

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted's log lines call it."""
        return "udp"

    def connectionLost(self, reason: Failure) -> None:
        """Close, and tell the service: the reactor gives the descriptor up."""
        self.close()
        if self.lost is not None:
            self.lost(self, reason)

    def doRead(self) -> None:
        """Read what has arrived, but not all of a flood, so that everything else has its turn."""
        echo = self._batch_echo
        if echo is None:
            self._read_one_by_one()
        else:
            self._read_batches(echo)

    @property
    def _batch_echo(self) -> Echo | None:
        """What takes batches; ``None`` where each datagram is received by itself."""
        return None if self._tells_destination else self.echo

    def _read_batches(self, echo: Echo) -> None:
        try:
            batch = self._batch = self._batch or Batch()
        except OSError:  # no memory for a batch; there is a place for one
            self._read_one_by_one()
            return
        for _ in range(MAX_DATAGRAMS_PER_TURN // MOST_DATAGRAMS):
            if not batch.receive(self.fileno()):
                return
            echoed = echo(self, batch)
            if echoed < batch.count:
                self._receive_rest(batch, echoed)

    def _receive_rest(self, batch: Batch, first: int) -> None:
        for location, sender in enumerate(batch.senders()[first:], first):
            if self._socket is None or self.received is None:
                return
            self.received(self, batch.data(location), sender, b"")

    def _read_one_by_one(self) -> None:
        for _ in range(MAX_DATAGRAMS_PER_TURN):
            if self._socket is None or self.received is None:
                return
            try:
                size, peer, source = self._receive(self._socket)
            except OSError:
                # Nothing left; or, on some systems, word of an earlier answer that did not arrive.
                return
            self.received(self, bytes(self._view[:size]), self.named(peer), source)

    def _passed(self) -> socket.socket:
        return passed_socket(self._reactor, self.endpoint)

    def _made(self) -> socket.socket:
        host = self.endpoint.host
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, self.endpoint.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
        bound = socket.socket(family, kind, protocol)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
        return bound

    def _receive(self, bound: socket.socket) -> tuple[int, SocketAddress, bytes]:
        if not self._tells_destination:
            size, peer = bound.recvfrom_into(self._buffer)
            return size, peer, b""
        size, ancillary, _, peer = bound.recvmsg_into([self._buffer], _ANCILLARY_SIZE)
        return size, peer, _source(ancillary)


def peer_address(peer: Peer) -> Address:
    """Return a socket address as the ledger knows it, with its scope where it has one."""
    address = socket_address(peer) if isinstance(peer, bytes) else peer
    host = normalised(address[0])
    if len(address) == 4 and address[3]:
        host = _with_scope(host, address[3])
    return Address(host, address[1])


def _with_scope(host: str, index: int) -> str:
    try:
        return f"{host}%{socket.if_indextoname(index)}"
    except OSError:
        return f"{host}%{index}"


def _ask_for_destination(bound: socket.socket) -> bool:
    """Have the kernel tell each datagram's destination; return whether it is needed and will."""
    host = bound.getsockname()[0]
    if _IP_PKTINFO is None or host not in (ALL_IPV4, ALL_IPV6):
        return False
    if bound.family == socket.AF_INET:
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return True


def _source(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """Return the address that was asked: 4 or 16 bytes, and the interface if link-local.

    Where IPv4 was sent to many hosts (ip(7): the two addresses differ), it is the one of these to
    answer from, followed by the one that was asked.
    """
    for level, _, data in ancillary:
        if level == socket.IPPROTO_IP and len(data) == _IN_PKTINFO.size:
            return data[4:8] if data[4:8] == data[8:12] else data[4:12]
        if level == socket.IPPROTO_IPV6 and len(data) == _IN6_PKTINFO.size:
            return data if data.startswith(_LINK_LOCAL) else data[:16]
    return b""


def _source_option(source: bytes) -> tuple[int, int, bytes]:
    """Return the ancillary data that makes a datagram leave from an address."""
    if len(source) in (4, _APART):
        option = _IN_PKTINFO.pack(0, source[:4], bytes(4))
        return socket.IPPROTO_IP, _IP_PKTINFO or 0, option
    if source.startswith(_MULTICAST):  # nothing can come from there: the interface's own address
        source = bytes(16) + source[16:]
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source.ljust(_IN6_PKTINFO.size, b"\0")
