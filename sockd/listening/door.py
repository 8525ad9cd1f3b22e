"""A door: one bound endpoint that can be held shut while the kernel goes on queueing clients."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from twisted.internet import tcp
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockd.address import Address
from sockd.config.endpoint import Endpoint
from sockd.kernel import accept_queue
from sockd.listening.endpoints import known_address, unlock
from sockd.listening.tls import not_after, renew
from sockd.listening.transport import PatientServer
from sockd.records import Listener, ServiceRecord
from sockd.text import quoted

_BATCH = 100
"""How many clients one round of the reactor accepts at most, give or take a few."""


class Tenant(Protocol):
    """A service that has a door."""

    record: ServiceRecord

    def protocol_for(self, listener: Listener, peer: Address) -> TwistedProtocol:
        """Return what serves the next client."""


class Door:
    """One endpoint, before and after it is bound.

    :ivar listener: what the ledger knows of it; ``None`` until it is bound.
    :ivar tenant: whose clients come in; the door can change hands while it is bound.
    """

    _log = Logger()

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.port: IListeningPort | None = None
        self.listener: Listener | None = None
        self.tenant: Tenant | None = None

    def bound(self, port: IListeningPort) -> None:
        """Take note of the port that the endpoint became."""
        self.port = port
        self.listener = listener = _listener(self.endpoint, port)
        accepting = self._accepting_port()
        if accepting is not None and listener.transport != "unix":
            _tune(accepting.socket)
            accepting.transport = PatientServer
        if accepting is not None and self.endpoint.is_foreign and listener.backlog is not None:
            accepting.socket.listen(listener.backlog)

    def become(self, endpoint: Endpoint) -> None:
        """Have another endpoint of the same identity, its backlog and its certificates."""
        self.endpoint = endpoint
        port = self._accepting_port()
        if port is None or self.listener is None:
            return
        if endpoint.is_encrypted:
            renew(endpoint, port)
        listener = _listener(endpoint, port)
        if listener.backlog is not None and listener.backlog != self.listener.backlog:
            port.socket.listen(listener.backlog)
        self.listener = listener

    def close(self) -> Deferred[None]:
        """Stop listening; return what fires when the socket is closed, whatever came of it."""
        port, self.port, self.listener = self.port, None, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallbacks(lambda _: None, self._not_closed)

    def waiting(self) -> int | None:
        """Return how many clients the kernel has connected that were not accepted yet."""
        port = self._accepting_port()
        return None if port is None else accept_queue(port.socket)

    def shut(self) -> None:
        """Leave new clients in the kernel's queue."""
        port = self._accepting_port()
        if port is not None:
            port.stopReading()

    def let_in(self, room: int) -> None:
        """Accept again, so many clients at most in one round of the reactor."""
        port = self._accepting_port()
        if port is not None and port.connected:
            port.numberAccepts = min(room, _BATCH)
            port.startReading()

    def accepted(self) -> None:
        """Keep the rounds of the reactor short: Twisted accepts more with each full one."""
        port = self.port
        if isinstance(port, tcp.Port) and port.numberAccepts > _BATCH:
            port.numberAccepts = _BATCH

    def _not_closed(self, failure: Failure) -> None:
        """Say so; most likely somebody has removed a unix socket already."""
        unlock(self.endpoint)
        self._log.warn(
            "{endpoint} was not closed cleanly: {error}",
            endpoint=quoted(self.endpoint.text),
            error=failure.getErrorMessage(),
        )

    def _accepting_port(self) -> tcp.Port | None:
        """Return the port if it is one that accepts from a socket here."""
        port: object = self.port
        return port if isinstance(port, tcp.Port) else None


FactoryMaker = Callable[[Door], IProtocolFactory]


def _tune(listening: socket.socket) -> None:
    """Send small answers at once and notice dead peers: accepted sockets inherit both (tcp(7))."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _listener(endpoint: Endpoint, port: IListeningPort) -> Listener:
    host = port.getHost()
    if isinstance(host, UNIXAddress):
        transport = "unix"
    else:
        transport = "tls" if endpoint.is_encrypted else "tcp"
    is_unknown = endpoint.is_foreign and not isinstance(port, tcp.Port)
    backlog = None if is_unknown else endpoint.parameter("backlog")
    queue = int(backlog) if backlog else None
    return Listener(transport, known_address(host), queue, not_after(port))
