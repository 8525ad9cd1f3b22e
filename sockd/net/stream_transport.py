"""The transports of stream connections, TLS and other wrappers included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IPushProducer,
    ITCPTransport,
    ITransport,
)
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import Attribute

from sockd.net.tcp_info import unacknowledged

if TYPE_CHECKING:
    import socket

    from twisted.python.failure import Failure


class IStreamTransport(ITCPTransport, IConsumer, IPushProducer):
    """A stream transport of Twisted's, with or without TLS."""

    disconnecting: bool = Attribute("True if it will close when all output is written.")

    protocol: IProtocol = Attribute("The protocol that the transport calls.")

    def getHandle() -> socket.socket:
        """Return the socket; a TLS transport returns an OpenSSL connection."""

    def connectionLost(reason: Failure) -> None:
        """Close the socket and notify the protocol, as the reactor does."""


def is_wrapped(transport: IStreamTransport) -> bool:
    """Return whether TLS or another wrapper is between a protocol and its socket."""
    return isinstance(transport, ProtocolWrapper)


def socket_transport(transport: ITransport) -> IStreamTransport:
    """Return the transport of the socket, below TLS and other wrappers."""
    found: object = transport
    while isinstance(found, ProtocolWrapper):
        found = found.transport
    return cast("IStreamTransport", found)


def untaken(transport: ITransport) -> int:
    """Return the number of bytes in the kernel that the peer's system has not acknowledged."""
    return unacknowledged(socket_transport(transport).getHandle())


def writer(transport: IStreamTransport) -> Callable[[bytes], None]:
    """Return a function that writes to a transport without a delay.

    Over TLS, ``transport.write`` collects small writes until the next reactor turn, and discards
    them if the peer's close_notify arrived together with the request.
    """
    if isinstance(transport, TLSMemoryBIOProtocol):
        return partial(TLSMemoryBIOProtocol.write, transport)
    return transport.write
