"""A UDP socket that answers from the address that a datagram was sent to.

Twisted's UDP port sends from the address that routing selects. On a wildcard bind, a request to
127.0.0.2 is then answered from 127.0.0.1, and the client's socket discards the answer. Twisted also
drops the scope that link-local peers need.

This socket uses ``IP_PKTINFO`` (ip(7)) and ``IPV6_RECVPKTINFO`` (RFC 3542) where the system has
them: each datagram comes with its destination, which becomes the source of the answer. On other
systems, and on sockets that are bound to one address, it uses plain ``recvfrom`` and ``sendto``.
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
"""The maximum number of datagrams that are read in one reactor turn."""

_LARGEST = 65536
_ANCILLARY_SIZE = 256
"""In bytes. A passed socket may have other options set, whose data precedes the destination."""
_IP_PKTINFO: int | None = 8 if sys.platform == "linux" else None
_IN_PKTINFO = struct.Struct("@I4s4s")
_IN6_PKTINFO = struct.Struct("@16sI")
_APART = 8
"""The length of a source that consists of the address to answer from and the destination."""
_LINK_LOCAL = (b"\xfe\x80", b"\xff\x02")
_MULTICAST = b"\xff"

Peer: TypeAlias = SocketAddress | bytes
"""The address of a sender: Python's tuple, or the kernel's bytes for batches."""

Receiver: TypeAlias = Callable[["DatagramSocket", bytes, Peer, bytes], None]
Echo: TypeAlias = Callable[["DatagramSocket", Batch], int]
Loser: TypeAlias = Callable[["DatagramSocket", Failure], None]


@implementer(IReadDescriptor)
class DatagramSocket:
    """One bound UDP endpoint.

    :ivar address: the bound address; set by :meth:`bind`.
    :ivar received: called with this socket, a datagram, the sender, and the *source*: an opaque
        representation of the destination address, to be passed to :meth:`send`.
    :ivar echo: called with this socket and a batch of datagrams. It echoes the datagrams at the
        start of the batch that may be echoed and returns their number; the others are passed to
        :attr:`received`. ``None``: all are passed to :attr:`received`.
    :ivar lost: called with this socket, which is closed, and the reason when the reactor has
        dropped it after an exception in :meth:`doRead`.
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
        """Bind the endpoint and return its address.

        :raise OSError: if it cannot be bound.
        :raise InvalidValue: if the service manager did not pass the socket.
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
        """Start reading."""
        self._reactor.addReader(self)

    def pause(self) -> None:
        """Stop reading; datagrams stay in the receive buffer."""
        self._reactor.removeReader(self)

    def close(self) -> None:
        """Stop reading and close the socket."""
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
        """Return a peer in the form that :attr:`received` gets, which depends on :attr:`echo`."""
        if isinstance(peer, bytes):
            return peer if self._batch_echo else socket_address(peer)
        return kernel_name(peer) if self._batch_echo else peer

    def is_for_many(self, source: bytes) -> bool:
        """Return whether a datagram was sent to a multicast or broadcast address.

        On a wildcard socket this is known only if the system reports the destination.

        :raise OSError: if no descriptor is available for the check.
        """
        if not source:
            return self._is_for_many
        if len(source) == _APART:
            return True
        return len(source) > 4 and reaches_many(socket.inet_ntop(socket.AF_INET6, source[:16]))

    def send(self, data: bytes, peer: Peer, source: bytes) -> None:
        """Send a datagram from the destination address of the request.

        :raise OSError: if the system refuses it: it is too long, the send buffer is full, or the
            peer's address is not reachable.
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
        """Return the name that Twisted uses in its log lines."""
        return "udp"

    def connectionLost(self, reason: Failure) -> None:
        """Close and call :attr:`lost`: the reactor has dropped the descriptor."""
        self.close()
        if self.lost is not None:
            self.lost(self, reason)

    def doRead(self) -> None:
        """Read up to :data:`MAX_DATAGRAMS_PER_TURN` datagrams, so that other sockets get a turn."""
        echo = self._batch_echo
        if echo is None:
            self._read_one_by_one()
        else:
            self._read_batches(echo)

    @property
    def _batch_echo(self) -> Echo | None:
        """The function that echoes batches; ``None`` if datagrams are received one by one."""
        return None if self._tells_destination else self.echo

    def _read_batches(self, echo: Echo) -> None:
        try:
            batch = self._batch = self._batch or Batch()
        except OSError:  # not enough memory for a batch
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
                # No more datagrams; or, on some systems, an ICMP error for an earlier answer.
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
    """Return a socket address in the ledger's form, with its scope if it has one."""
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
    """Enable reports of each datagram's destination; return whether they are enabled.

    They are needed on wildcard sockets only.
    """
    host = bound.getsockname()[0]
    if _IP_PKTINFO is None or host not in (ALL_IPV4, ALL_IPV6):
        return False
    if bound.family == socket.AF_INET:
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return True


def _source(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """Return the destination address: 4 or 16 bytes, and the interface if it is link-local.

    For IPv4 multicast and broadcast (the two addresses of ip(7) differ), it is the local address
    to answer from, followed by the destination address.
    """
    for level, _, data in ancillary:
        if level == socket.IPPROTO_IP and len(data) == _IN_PKTINFO.size:
            return data[4:8] if data[4:8] == data[8:12] else data[4:12]
        if level == socket.IPPROTO_IPV6 and len(data) == _IN6_PKTINFO.size:
            return data if data.startswith(_LINK_LOCAL) else data[:16]
    return b""


def _source_option(source: bytes) -> tuple[int, int, bytes]:
    """Return the ancillary data that sets the source address of a datagram."""
    if len(source) in (4, _APART):
        option = _IN_PKTINFO.pack(0, source[:4], bytes(4))
        return socket.IPPROTO_IP, _IP_PKTINFO or 0, option
    if source.startswith(_MULTICAST):  # not a valid source: use an address of the interface
        source = bytes(16) + source[16:]
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source.ljust(_IN6_PKTINFO.size, b"\0")
