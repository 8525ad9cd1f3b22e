"""Datagram services: ``udp``.

A datagram is answered from the address and port that it was sent to. UDP has no connections; the
ledger shows *flows* instead. A flow is one peer address and port at one local address and port. It
begins with the first datagram and ends after the idle timeout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.config.endpoint import Endpoint
from sockd.config.specs import ServiceSpec
from sockd.config.values import Option
from sockd.errors import BindError, InvalidValue
from sockd.interfaces import (
    ICountsDescriptors,
    INetworkService,
    IReloadableService,
    IReply,
    IServiceKind,
)
from sockd.limits.terms import terms
from sockd.model.reasons import EndReason
from sockd.model.records import Listener, State
from sockd.net.datagram_socket import DatagramSocket
from sockd.net.server_endpoints import bind_problem
from sockd.net.spare_sockets import Pool
from sockd.services.context import ServiceContext
from sockd.services.flows import FlowKey, FlowTable
from sockd.services.responder import DatagramResponder
from sockd.support.logger import PartLogger
from sockd.support.service import BindingService

FLOW_TIMEOUT = 120.0
"""The idle timeout of a flow if none is configured, in seconds (RFC 4787, REQ-5)."""


@implementer(IServiceKind, ICountsDescriptors)
class DatagramKind:
    """The kind ``udp``."""

    datagrams = True
    options: Sequence[Option[object]] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def serve(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return a new service for a section."""
        return DatagramService(spec, reply, context)

    def descriptors(self, spec: ServiceSpec) -> int:
        """Return the number of descriptors that a section may need: one per endpoint."""
        return len(spec.listen)


@implementer(IReloadableService)
class DatagramService(BindingService):
    """A running ``udp`` service."""

    _log = PartLogger("sockd")

    def __init__(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        self.name = spec.name
        self._reactor = context.reactor
        self._ledger = context.ledger
        self.record = context.ledger.add_service(spec.name, spec.kind, spec.reply)
        self._flows = FlowTable(context.reactor, context.ledger, FLOW_TIMEOUT)
        self.responder = DatagramResponder(self.record, context, spec)
        self._sockets: list[DatagramSocket] = []
        self._follow(spec, reply, context)

    def _bind(self) -> None:
        sockets = [self._socket_for(endpoint, Pool()) for endpoint in self._spec.listen]
        _bind_all(sockets)
        self._serve_on(sockets)

    def prepare(self, spec: ServiceSpec, endpoints: Sequence[Endpoint]) -> None:
        """Bind endpoints of the new configuration and add them to the spare sockets.

        :raise BindError: if an endpoint cannot be bound.
        """
        sockets = [DatagramSocket(self._reactor, endpoint) for endpoint in endpoints]
        _bind_all(sockets)
        for bound in sockets:
            self._spare.put(bound)

    def release(self, kept: Sequence[Endpoint]) -> None:
        """Move all sockets except those of ``kept`` to the spare sockets; end their flows."""
        own = Pool(self._sockets)
        for endpoint in kept:
            own.take(endpoint)
        given_up = set(own)
        for bound in given_up:
            bound.pause()
            self._sockets.remove(bound)
            self._spare.put(bound)
        self._flows.end_of_sockets(given_up)

    def reconfigure(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        """Apply a new section to new flows.

        Open flows keep their conversations; the new idle timeout and budgets apply to them too.
        """
        is_bound = bool(self.record.listeners)
        self._follow(spec, reply, context)
        if is_bound:
            own = Pool(self._sockets)
            self._serve_on([self._socket_for(endpoint, own) for endpoint in spec.listen])
            self._flows.rename(_renamed)

    def stopService(self) -> Deferred[None]:
        """Close the sockets and end all flows at once; there is nothing to drain."""
        self.end()
        self._ledger.unbound(self.record)
        for bound in self._sockets:
            bound.close()
        self._sockets = []
        self._flows.end_all()
        return succeed(None)

    def waiting(self, listener: Listener) -> int | None:
        """Return ``None``: UDP has no accept queue."""
        return None

    def disconnect(self, connection: int) -> bool:
        """End a flow by its number; return whether this service had it."""
        return self._flows.end_number(connection, EndReason.DISCONNECT)

    def hurry(self) -> None:
        """Do nothing: flows do not drain."""

    def tcp_info(self, connection: int) -> Mapping[str, object] | None:
        """Return ``None``: UDP has no ``TCP_INFO``."""
        return None

    def _follow(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        self._spec = spec
        self._spare = context.spare
        self._flows.change_timeout(spec.idle_timeout or FLOW_TIMEOUT)
        self.responder.follow(spec, reply, context, self._flows)

    def _socket_for(self, endpoint: Endpoint, own: Pool[DatagramSocket]) -> DatagramSocket:
        """Return one of the service's own sockets, a spare one, or a new, unbound one."""
        found = own.take(endpoint) or self._spare.take(endpoint, DatagramSocket)
        bound = found or DatagramSocket(self._reactor, endpoint)
        bound.endpoint = endpoint
        return bound

    def _serve_on(self, sockets: list[DatagramSocket]) -> None:
        listeners = {bound: Listener("udp", bound.address, None) for bound in sockets}
        known = [listeners[bound] for bound in sockets if bound.received is not None]
        for bound in sockets:
            bound.received = self.responder.received
            bound.echo = self.responder.echo if self.responder.may_echo else None
            bound.lost = self._lost
            bound.start()
        self._sockets = sockets
        self.responder.listeners = listeners
        self.record.terms = terms(self._spec.limits, self._spec.max_connections)
        self._ledger.bound(self.record, tuple(listeners.values()), known)

    def _lost(self, bound: DatagramSocket, reason: Failure) -> None:
        """Stop the service with state ``failed`` after the reactor has dropped a socket.

        The service can be started again.
        """
        self._log.error(
            "The socket at {address} failed, and {service} has stopped: {reason}",
            address=bound.address,
            service=self.record.name,
            reason=reason.getErrorMessage(),
        )
        self.stopService()
        self._ledger.unbound(self.record, State.FAILED)


def _renamed(key: FlowKey) -> FlowKey:
    """Return the key of an open flow with the peer in its socket's current form."""
    bound, peer, source = key
    return bound, bound.named(peer), source


def _bind_all(sockets: Sequence[DatagramSocket]) -> None:
    """Bind the sockets that are not bound yet.

    :raise BindError: if one cannot be bound; then all sockets are closed.
    """
    problems = []
    for bound in sockets:
        try:
            if bound.fileno() < 0:
                bound.bind()
        except InvalidValue as invalid:
            problems.append(invalid.at(bound.endpoint.location))
        except OSError as error:
            problems.append(bind_problem(bound.endpoint, error))
    if problems:
        for bound in sockets:
            bound.close()
        raise BindError(problems)
