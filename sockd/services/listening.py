"""The listening half of a stream service: its ports, when it starts, stops and reloads.

What is done with a client that has connected is for a subclass to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from sockd.errors import BindError, Problem
from sockd.limits.terms import terms
from sockd.model.records import Listener, State
from sockd.net.listeners import Listeners, bound_port
from sockd.net.listening_port import ListeningPort, PortOwner
from sockd.net.server_endpoints import known_address
from sockd.support.service import BindingService

if TYPE_CHECKING:
    from sockd.config.endpoint import Endpoint
    from sockd.config.specs import ServiceSpec
    from sockd.model.address import Address
    from sockd.services.context import ServiceContext


class ListeningService(BindingService):
    """A service with listening ports and a record in the ledger.

    :ivar spec: the section that the next clients are served by.
    :ivar record: the service's record.
    """

    def __init__(self, spec: ServiceSpec, context: ServiceContext) -> None:
        self.name = spec.name
        self.spec = spec
        self.reactor = context.reactor
        self._spare = context.spare
        self._ledger = context.ledger
        self.record = context.ledger.add_service(spec.name, spec.kind, spec.reply)
        self._listeners = Listeners(context.reactor, spec.listen, spec.backlog)

    def protocol_for(self, listener: Listener, peer: Address) -> Protocol:
        """Return the protocol for a client that has connected."""
        raise NotImplementedError

    def prepare(self, spec: ServiceSpec, endpoints: Sequence[Endpoint]) -> None:
        """Bind endpoints of the new configuration and add them to the spare sockets.

        :raise BindError: if an endpoint cannot be bound.
        """
        problems: list[Problem] = []
        if self._is_bound and not self._listeners.is_open:
            message = "the service is still binding its endpoints"
            problems.append(Problem(spec.location, message, "reload again when it listens"))
        for endpoint in endpoints:
            try:
                port = bound_port(self.reactor, endpoint, spec.backlog, ServiceFactory)
            except BindError as error:
                problems += error.problems
            else:
                self._spare.put(port)
        if problems:
            raise BindError(problems)

    def release(self, kept: Sequence[Endpoint]) -> None:
        """Move all sockets except those of ``kept`` to the spare sockets; they keep listening."""
        for port in self._listeners.give_up(kept):
            port.pause_accepting()
            self._spare.put(port)

    def waiting(self, listener: Listener) -> int | None:
        """Return how many clients wait in the accept queue of a listener."""
        return self._listeners.waiting(listener)

    def _bind(self) -> None:
        known = self._listeners.change(self.spec.listen, self.spec.backlog, self._spare_port, self)
        self._listeners.open(ServiceFactory, lambda: self._bound(known), self._binding_failed)

    def _rebind(self) -> None:
        """Follow a section with other endpoints; all of them are bound, here or as spare ones."""
        if self._is_bound and self._listeners.is_open:
            self._is_bound = False
            self.bind()

    def _spare_port(self, endpoint: Endpoint) -> ListeningPort | None:
        return self._spare.take(endpoint, ListeningPort)

    def _bound(self, known: tuple[Listener, ...]) -> None:
        self.record.terms = terms(self.spec.limits, self.spec.max_connections)
        self._ledger.bound(self.record, self._listeners.bound, known)

    def _binding_failed(self, error: BindError) -> None:
        self._ledger.unbound(self.record, State.FAILED)
        super()._binding_failed(error)


@implementer(IProtocolNegotiationFactory)
class ServiceFactory(Factory):
    """The protocol factory of one listening port."""

    noisy = False

    def __init__(self, port: ListeningPort) -> None:
        self._port = port

    def logPrefix(self) -> str:
        """Return the name that Twisted uses in its log lines."""
        return self._port.endpoint.location.section.removeprefix("service:")

    def acceptableProtocols(self) -> list[bytes]:
        """Return the ALPN protocols; Twisted rejects clients that offer only others."""
        return [b"http/1.1", b"http/1.0"]

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Return the protocol for a new client."""
        self._port.accepted()
        owner = cast("PortOwner", self._port.owner)
        peer = known_address(cast("IAddress", addr))
        return owner.protocol_for(cast("Listener", self._port.listener), peer)
