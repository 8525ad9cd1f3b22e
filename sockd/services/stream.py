"""Serves streams: `tcp`, one client at a time, and `multi`, many at once.

The two differ in one number, how many connections they admit. Where a full service waits, its
listeners are left unread, and the kernel keeps the next clients in its accept queue; where it
refuses, the next clients are accepted and closed at once.
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
    """Makes stream services.

    :param limit: how many clients are served at a time, the others waiting; ``None``: what the
        section says in ``max_connections`` and ``when_full``.
    """

    datagrams = False
    options: Sequence[Option[object]] = ()

    def __init__(self, name: str, limit: int | None = None) -> None:
        self.name = name
        self._limit = limit

    def serve(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return the service of a section."""
        return StreamService(spec, reply, context, self._limit)

    def descriptors(self, spec: ServiceSpec) -> int:
        """Return how many a section may need: listeners, the fast path's, and connections."""
        return len(spec.listen) + FAST_PATH_DESCRIPTORS + (self._limit or spec.max_connections)


@implementer(IReloadableService)
class StreamService(ListeningService):
    """One section of a stream kind, running.

    :param limit: how many connections are served at a time, the next ones waiting in the kernel's
        queue; ``None``: what the section says.
    :ivar fast_path: where plain connections may be echoed; ``None`` if the next ones may not.
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
        """Serve the next clients by another section; those that are here stay with theirs."""
        self._follow(spec, reply, context)
        self._rebind()

    def stopService(self) -> Deferred[None]:
        """Stop accepting; the Deferred fires when the last connection is gone."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def disconnect(self, connection: int) -> bool:
        """Close a connection by its number; return whether it was one of these."""
        found = self._connections.get(connection)
        if found is not None:
            found.hang_up(EndReason.DISCONNECT)
        return found is not None

    def hurry(self) -> None:
        """Stop draining, if it does: the rest is closed."""
        for drain in tuple(self._drains):
            drain.hurry()

    def tcp_info(self, connection: int) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection."""
        found = self._connections.get(connection)
        return None if found is None else found.tcp_info()

    def protocol_for(self, listener: Listener, peer: Address) -> Protocol:
        """Return what serves the next client, or turns it away."""
        if not self._room:
            return RefusedConnection(self, listener, peer, RefusalReason.FULL)
        if self._is_balancer(peer):
            return ProxiedConnection(self, listener, peer, self.connection_for)
        reason = self.refusal(peer)
        if reason is not None:
            if self._waits:  # or Twisted would let in twenty more than there is room for
                self._update_accepting()
            return RefusedConnection(self, listener, peer, reason)
        return self.connection_for(listener, peer, None)

    def connection_for(
        self, listener: Listener, client: Address, via: Address | None
    ) -> StreamConnection:
        """Return the protocol that serves a client, on the fast path where it may be."""
        if self.fast_path is not None and listener.transport == "tcp":
            return FastPathConnection(self, listener, client, via, self.fast_path)
        return StreamConnection(self, listener, client, via)

    def refusal(self, client: Address) -> RefusalReason | None:
        """Return why a client may not come in, or ``None`` if it may."""
        return self.admission.admit(client, self.reactor.seconds())

    def arrived(self, protocol: PendingClient) -> None:
        """Keep a place for the client of a balancer, until it is known who that is."""
        self._arriving.add(protocol)
        if self._waits:
            self._update_accepting()

    def left(self, protocol: PendingClient) -> None:
        """Give that place to the client, or to the next one."""
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
        """Enter a new connection in the ledger."""
        connection = self._ledger.open(self.record, listener, local, peer, via)
        self._connections[connection.id] = protocol
        self.admission.opened(peer)
        if self._waits:
            self._update_accepting()
        return connection

    def closed(self, connection: Connection, reason: EndReason) -> None:
        """Enter the end of a connection, and let the next client in where one may wait."""
        del self._connections[connection.id]
        self.admission.closed(connection.peer)
        self._ledger.close(connection, reason)
        if self._waits:
            self._resume_accepting()
        for drain in tuple(self._drains):  # the stop that is done with its own removes it
            drain.closed(connection.id)

    def refused(self, listener: Listener, peer: Address, reason: RefusalReason) -> None:
        """Enter a client that was turned away."""
        self._ledger.refuse(self.record, listener, peer, reason)

    @property
    def _room(self) -> int:
        """How many more clients may come in."""
        return max(0, self._limit - len(self._connections) - len(self._arriving))

    def _is_balancer(self, peer: Address) -> bool:
        """Return whether what a peer sends begins with a PROXY header."""
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
        if self._waits:  # connections that a stop has left to finish may fill it already
            self._update_accepting()
        else:
            self._listeners.resume_accepting(self._limit)

    def _update_accepting(self) -> None:
        """Leave the next clients in the queue until it is clear how many of them may come in."""
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
