"""A listening port that can pause accepting while the kernel keeps queueing clients."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from twisted.internet import tcp
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from sockd.config.endpoint import Endpoint
from sockd.model.address import Address
from sockd.model.records import Listener, ServiceRecord
from sockd.net.endpoint_reactor import IPassedPort
from sockd.net.server_endpoints import known_address
from sockd.net.tcp_info import accept_queue
from sockd.net.tls.tls_endpoint import not_after, renew
from sockd.net.transport import PatientServer, TunedServer, tune
from sockd.support.logger import PartLogger
from sockd.support.text import quoted

_BATCH = 100
"""The approximate maximum number of clients that are accepted in one reactor turn."""


class PortOwner(Protocol):
    """A service that owns listening ports."""

    record: ServiceRecord

    def protocol_for(self, listener: Listener, peer: Address) -> TwistedProtocol:
        """Return the protocol that serves or refuses the next client."""


class ListeningPort:
    """An endpoint, before and after it is bound.

    :ivar listener: its entry in the ledger; ``None`` while it is not bound.
    :ivar owner: the service that serves the clients; it may change while the port is bound.
    """

    _log = PartLogger("sockd")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.port: IListeningPort | None = None
        self.listener: Listener | None = None
        self.owner: PortOwner | None = None

    @property
    def is_bound(self) -> bool:
        """Whether it holds a socket."""
        return self.port is not None

    def bound(self, port: IListeningPort) -> None:
        """Set Twisted's port after the endpoint was bound, and configure its socket."""
        self.port = port
        accepting = self._accepting_port()
        if accepting is not None:
            _configure(accepting, self.endpoint)
        self.listener = _listener(self.endpoint, port)

    def set_endpoint(self, endpoint: Endpoint) -> None:
        """Replace the endpoint by one of the same identity; apply its backlog and certificates."""
        old, self.endpoint = self.endpoint, endpoint
        port = self._accepting_port()
        is_same = old.parameters == endpoint.parameters and not endpoint.is_encrypted
        if is_same or port is None:
            return
        if endpoint.parameter("backlog") != old.parameter("backlog"):
            _set_backlog(port, endpoint)
        if endpoint.is_encrypted:
            renew(endpoint, port)
        self.listener = _listener(endpoint, port)

    def close(self) -> Deferred[None]:
        """Stop listening; return a Deferred that fires when that is done; it never fails."""
        port, self.port, self.listener = self.port, None, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallbacks(lambda _: None, self._close_failed)

    def waiting(self) -> int | None:
        """Return the number of clients in the accept queue, or ``None`` if unknown."""
        port = self._accepting_port()
        queue = None if port is None else accept_queue(port.socket)
        return None if queue is None else queue.waiting

    def pause_accepting(self) -> None:
        """Leave new clients in the accept queue."""
        port = self._accepting_port()
        if port is not None:
            port.stopReading()

    def resume_accepting(self, room: int) -> None:
        """Accept up to ``room`` clients in a reactor turn."""
        port = self._accepting_port()
        if port is not None and port.connected:
            port.numberAccepts = min(room, _BATCH)
            port.startReading()

    def accepted(self) -> None:
        """Limit the batch size again: Twisted increases it after each full batch."""
        port = self.port
        if isinstance(port, tcp.Port) and port.numberAccepts > _BATCH:
            port.numberAccepts = _BATCH

    def _close_failed(self, failure: Failure) -> None:
        """Log a failed close; usually the file of a unix socket was removed already."""
        self._log.warn(
            "{endpoint} was not closed cleanly: {error}",
            endpoint=quoted(self.endpoint.text),
            error=failure.getErrorMessage(),
        )

    def _accepting_port(self) -> tcp.Port | None:
        """Return the port if it accepts from a socket itself, otherwise ``None``."""
        port: object = self.port
        return port if isinstance(port, tcp.Port) else None


FactoryMaker = Callable[[ListeningPort], IProtocolFactory]


def _configure(port: tcp.Port, endpoint: Endpoint) -> None:
    """Set the transport class, socket options and backlog of a port.

    Accepted sockets inherit the options of the listening socket. A passed socket is left unchanged;
    the options are then set on each accepted socket.
    """
    is_passed = IPassedPort.providedBy(port)
    if port.socket.family in (socket.AF_INET, socket.AF_INET6):
        server: type[tcp.Server] = TunedServer if is_passed else PatientServer
        port.transport = server
        if not is_passed:
            tune(port.socket)
    if endpoint.is_foreign:
        _set_backlog(port, endpoint)


def _set_backlog(port: tcp.Port, endpoint: Endpoint) -> None:
    backlog = endpoint.parameter("backlog")
    if backlog and not IPassedPort.providedBy(port):
        port.socket.listen(int(backlog))


def _listener(endpoint: Endpoint, port: IListeningPort) -> Listener:
    host = port.getHost()
    if isinstance(host, UNIXAddress):
        transport = "unix"
    else:
        transport = "tls" if endpoint.is_encrypted else "tcp"
    return Listener(transport, known_address(host), _backlog(endpoint, port), not_after(port))


def _backlog(endpoint: Endpoint, port: IListeningPort) -> int | None:
    """Return the backlog that the kernel granted, or else the configured one.

    ``None`` if it is unknown: the port was passed or belongs to a wrapped endpoint.
    """
    queue = accept_queue(port.socket) if isinstance(port, tcp.Port) else None
    if queue is not None:
        return queue.limit
    is_own = isinstance(port, tcp.Port) or not endpoint.is_foreign
    backlog = endpoint.parameter("backlog")
    return int(backlog) if backlog and is_own and not IPassedPort.providedBy(port) else None
