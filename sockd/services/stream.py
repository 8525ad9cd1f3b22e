"""Stream services: ``tcp`` (one client at a time) and ``multi`` (many at once).

The kinds differ only in the connection limit. A full service with ``when_full = wait`` pauses
accepting, and the next clients stay in the accept queue. With ``when_full = refuse`` the next
clients are accepted and closed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from sockd.config.specs import WAIT, ServiceSpec
from sockd.config.values import Option
from sockd.interfaces import (
    ICountsDescriptors,
    INetworkService,
    IReloadableService,
    IReply,
    IServiceKind,
)
from sockd.limits.access import AccessList
from sockd.limits.admission import Admission
from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, State
from sockd.services.bypass import may_bypass_reply
from sockd.services.connection import CLOSE_TIMEOUT, StreamConnection
from sockd.services.context import ServiceContext
from sockd.services.drain import Drain
from sockd.services.fastpath.connection import FastPathConnection
from sockd.services.fastpath.fastpath import FAST_PATH_DESCRIPTORS, HAS_EPOLL, FastPath
from sockd.services.host import OpenConnection, PendingClient
from sockd.services.listening import ListeningService
from sockd.services.proxied import ProxiedConnection
from sockd.services.refusal import RefusedConnection


@implementer(IServiceKind, ICountsDescriptors)
class StreamKind:
    """A kind of stream services.

    :param limit: the connection limit, with further clients waiting; ``None``: as the section's
        ``max_connections`` and ``when_full`` specify.
    """

    datagrams = False
    options: Sequence[Option[object]] = ()

    def __init__(self, name: str, limit: int | None = None) -> None:
        self.name = name
        self._limit = limit

    def serve(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return a new service for a section."""
        return StreamService(spec, reply, context, self._limit)

    def descriptors(self, spec: ServiceSpec) -> int:
        """Return the number of descriptors that a section may need, connections included."""
        return len(spec.listen) + FAST_PATH_DESCRIPTORS + (self._limit or spec.max_connections)


@implementer(IReloadableService)
class StreamService(ListeningService):
    """A running stream service.

    :param limit: see :class:`StreamKind`.
    :ivar fast_path: the fast path of new connections; ``None`` if they may not use it.
    """

    def __init__(
        self, spec: ServiceSpec, reply: IReply, context: ServiceContext, limit: int | None
    ) -> None:
        super().__init__(spec, context)
        self.admission = Admission(spec.limits, context.reactor.seconds())
        self._fast_path = FastPath(context.reactor, self.record)
        self._kinds_limit = limit
        self._follow(spec, reply, context)
        self._connections: dict[int, OpenConnection] = {}
        self._arriving: set[PendingClient] = set()
        self._drains: list[Drain] = []

    def reconfigure(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        """Apply a new section to new clients; open connections keep the old one."""
        self._follow(spec, reply, context)
        self._rebind()

    def stopService(self) -> Deferred[None]:
        """Stop accepting; return a Deferred that fires when the last connection is closed."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def disconnect(self, connection: int) -> bool:
        """Close a connection by its number; return whether this service had it."""
        found = self._connections.get(connection)
        if found is not None:
            found.hang_up(EndReason.DISCONNECT)
        return found is not None

    def hurry(self) -> None:
        """End the drain, if there is one, and close the remaining connections."""
        for drain in tuple(self._drains):
            drain.hurry()

    def tcp_info(self, connection: int) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection."""
        found = self._connections.get(connection)
        return None if found is None else found.tcp_info()

    def protocol_for(self, listener: Listener, peer: Address) -> Protocol:
        """Return the protocol that serves or refuses the next client."""
        if not self._room:
            return RefusedConnection(self, listener, peer, RefusalReason.FULL)
        if self._is_balancer(peer):
            return ProxiedConnection(self, listener, peer, self.connection_for)
        reason = self.refusal(peer)
        if reason is not None:
            if self._waits:  # otherwise Twisted would go on accepting beyond the limit
                self._update_accepting()
            return RefusedConnection(self, listener, peer, reason)
        return self.connection_for(listener, peer, None)

    def connection_for(
        self, listener: Listener, client: Address, via: Address | None
    ) -> StreamConnection:
        """Return the protocol that serves a client, on the fast path if it may use it."""
        if self.fast_path is not None and listener.transport == "tcp":
            return FastPathConnection(self, listener, client, via, self.fast_path)
        return StreamConnection(self, listener, client, via)

    def refusal(self, client: Address) -> RefusalReason | None:
        """Return why a client is refused, or ``None`` if it is accepted."""
        return self.admission.admit(client, self.reactor.seconds())

    def arrived(self, protocol: PendingClient) -> None:
        """Count a pending client of a load balancer against the connection limit."""
        self._arriving.add(protocol)
        if self._waits:
            self._update_accepting()

    def left(self, protocol: PendingClient) -> None:
        """Stop counting a pending client."""
        self._arriving.discard(protocol)
        if self._waits:
            self._resume_accepting()

    def opened(
        self,
        protocol: OpenConnection,
        listener: Listener,
        local: Address,
        peer: Address,
        via: Address | None,
    ) -> Connection:
        """Add a connection to the ledger."""
        connection = self._ledger.open(self.record, listener, local, peer, via)
        self._connections[connection.id] = protocol
        self.admission.opened(peer)
        if self._waits:
            self._update_accepting()
        return connection

    def closed(self, connection: Connection, reason: EndReason) -> None:
        """Record the end of a connection in the ledger; resume accepting if that was paused."""
        del self._connections[connection.id]
        self.admission.closed(connection.peer)
        self._ledger.close(connection, reason)
        if self._waits:
            self._resume_accepting()
        for drain in tuple(self._drains):  # a copy: a drain that ends is removed from the list
            drain.closed(connection.id)

    def refused(self, listener: Listener, peer: Address, reason: RefusalReason) -> None:
        """Record a refused client in the ledger."""
        self._ledger.refuse(self.record, listener, peer, reason)

    @property
    def _room(self) -> int:
        """The number of connections below the limit."""
        return max(0, self._limit - len(self._connections) - len(self._arriving))

    def _is_balancer(self, peer: Address) -> bool:
        """Return whether a peer is a load balancer, which sends a PROXY header first."""
        if self._balancers is None or peer.port is None:
            return False
        return self._balancers.admits(peer)

    def _follow(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        self.spec = spec
        self.reply = reply
        self._drain_time = context.drain
        self._spare = context.spare
        self._limit = self._kinds_limit or spec.max_connections
        self._waits = self._kinds_limit is not None or spec.when_full == WAIT
        self._balancers = AccessList(spec.proxy, ()) if spec.proxy else None
        self.admission.apply(spec.limits, self.reactor.seconds())
        has_fast_path = context.fast_path and HAS_EPOLL and may_bypass_reply(spec, reply)
        self._fast_path.allow(io_uring=context.io_uring)
        self.fast_path = self._fast_path if has_fast_path else None

    def _bound(self, known: tuple[Listener, ...]) -> None:
        super()._bound(known)
        if self._waits:  # it may be full already: a drain may still have connections
            self._update_accepting()
        else:
            self._listeners.resume_accepting(self._limit)

    def _update_accepting(self) -> None:
        """Pause accepting; resume in the next reactor turn if the service is not full."""
        self._listeners.pause_accepting()
        if self._room:
            self.reactor.callLater(0, self._resume_accepting)
        else:
            self._ledger.set_state(self.record, State.PAUSED)

    def _resume_accepting(self) -> None:
        if self._room and self._is_bound:
            self._ledger.set_state(self.record, State.LISTENING)
            self._listeners.resume_accepting(self._room)

    async def _stop(self) -> None:
        self._ledger.unbound(self.record)
        drain = Drain(self._connections)
        self._drains.append(drain)
        for arriving in tuple(self._arriving):
            arriving.hang_up(RefusalReason.STOP)
        await self._listeners.close()
        await drain.wait(self._drain_time, self.reactor)
        for number in tuple(drain.left):
            self._connections[number].hang_up(EndReason.STOP)
        await drain.wait(2 * CLOSE_TIMEOUT, self.reactor)
        self._drains.remove(drain)
        if not self._connections:
            self._fast_path.close()
