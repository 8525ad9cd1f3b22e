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
    """What Twisted's stream transports are, TLS over them included."""

    disconnecting: bool = Attribute("True once it closes as soon as all is written.")

    protocol: IProtocol = Attribute("The protocol that the transport calls.")

    def getHandle() -> socket.socket:
        """Return the socket; TLS returns its own object."""

    def connectionLost(reason: Failure) -> None:
        """Close the socket and tell the protocol: what the reactor does at the end."""


def is_wrapped(transport: IStreamTransport) -> bool:
    """Return whether TLS, or something else, is between a protocol and its socket."""
    return isinstance(transport, ProtocolWrapper)


def socket_transport(transport: ITransport) -> IStreamTransport:
    """Return the transport of the socket, below TLS and whatever else wraps it."""
    found: object = transport
    while isinstance(found, ProtocolWrapper):
        found = found.transport
    return cast("IStreamTransport", found)


def untaken(transport: ITransport) -> int:
    """Return how many bytes the kernel keeps that the peer's system has not acknowledged."""
    return unacknowledged(socket_transport(transport).getHandle())


def writer(transport: IStreamTransport) -> Callable[[bytes], None]:
    """Return the function that writes to a transport at once.

    Over TLS, ``transport.write`` gathers what is small until the next turn of the reactor, and
    drops it if the peer's close_notify came along with the request.
    """
    if isinstance(transport, TLSMemoryBIOProtocol):
        return partial(TLSMemoryBIOProtocol.write, transport)
    return transport.write
