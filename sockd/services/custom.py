"""The base of kinds that serve streams in a way of their own: three classes to derive from.

A kind makes a service, the service has listening ports, and each client gets a protocol. What
every kind needs is here: the records in the ledger, backpressure, half-close, a stop that drains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from zope.interface import implementer

from sockd.interfaces import INetworkService, IReply, IServiceKind
from sockd.model.reasons import EndReason
from sockd.net.server_endpoints import known_address
from sockd.net.stream_transport import IStreamTransport, socket_transport
from sockd.net.tcp_info import tcp_view
from sockd.services.drain import Drain
from sockd.services.listening import ListeningService

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sockd.config.specs import ServiceSpec
    from sockd.config.values import Option
    from sockd.model.address import Address
    from sockd.model.records import Connection, Listener
    from sockd.services.context import ServiceContext


@implementer(IServiceKind)
class StreamKindBase:
    """A kind of stream service. Derive from it, and say which protocol serves a client.

    :ivar name: the word after ``kind =``.
    """

    datagrams = False
    options: Sequence[Option[object]] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def connection(
        self, service: CustomService, listener: Listener, peer: Address
    ) -> CountedConnection:
        """Return the protocol that serves a client."""
        raise NotImplementedError

    def serve(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return the service of a section."""
        return CustomService(spec, reply, context, self)


@implementer(INetworkService)
class CustomService(ListeningService):
    """A section of a kind, running. Clients are served at once, however many they are.

    :ivar reply: the reply that the section names.
    """

    def __init__(
        self, spec: ServiceSpec, reply: IReply, context: ServiceContext, kind: StreamKindBase
    ) -> None:
        super().__init__(spec, context)
        self.reply = reply
        self._kind = kind
        self._drain_time = context.drain
        self._connections: dict[int, CountedConnection] = {}
        self._drain: Drain | None = None

    def protocol_for(self, listener: Listener, peer: Address) -> Protocol:
        """Return the protocol for a client that has connected."""
        return self._kind.connection(self, listener, peer)

    def opened(self, protocol: CountedConnection, listener: Listener, peer: Address) -> Connection:
        """Add a connection to the ledger, and return its record."""
        local = listener.address
        if local.is_for_all:
            local = known_address(protocol.transport.getHost())
        record = self._ledger.open(self.record, listener, local, peer)
        self._connections[record.id] = protocol
        return record

    def closed(self, record: Connection, reason: EndReason) -> None:
        """Enter the end of a connection."""
        del self._connections[record.id]
        self._ledger.close(record, reason)
        if self._drain is not None:
            self._drain.closed(record.id)

    def stopService(self) -> Deferred[None]:
        """Stop accepting; the Deferred fires when the last connection is closed."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def disconnect(self, connection: int) -> bool:
        """Close a connection by its number; return whether it was one of this service's."""
        found = self._connections.get(connection)
        if found is not None:
            found.close(EndReason.DISCONNECT)
        return found is not None

    def hurry(self) -> None:
        """Close what is left at once, if the service is draining."""
        if self._drain is not None:
            self._drain.hurry()

    def tcp_info(self, connection: int) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection."""
        found = self._connections.get(connection)
        return None if found is None else tcp_view(socket_transport(found.transport).getHandle())

    def _bound(self, known: tuple[Listener, ...]) -> None:
        super()._bound(known)
        self._listeners.resume_accepting(self.spec.max_connections)

    async def _stop(self) -> None:
        self._ledger.unbound(self.record)
        self._drain = Drain(self._connections)
        await self._listeners.close()
        await self._drain.wait(self._drain_time, self.reactor)
        for connection in tuple(self._connections.values()):
            connection.abort(EndReason.STOP)
        self._drain = None


@implementer(IHalfCloseableProtocol, IPushProducer)
class CountedConnection(Protocol):
    """One client of a service, with its record in the ledger.

    Derive from it, alone or together with one of Twisted's protocols such as ``LineReceiver``;
    this class comes first. While the client does not read, nothing more is read from it.

    :ivar record: the record of the connection.
    """

    transport: IStreamTransport
    record: Connection

    def __init__(self, service: CustomService, listener: Listener, peer: Address) -> None:
        self.service = service
        self._listener = listener
        self._peer = peer
        self._reason: EndReason | None = None

    def connectionMade(self) -> None:
        """Add the connection to the ledger."""
        self.record = self.service.opened(self, self._listener, self._peer)
        self.transport.registerProducer(self, True)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Count what was read, and hand it on."""
        self.record.received(len(data), self.service.reactor.seconds())
        super().dataReceived(data)

    def send(self, data: bytes) -> None:
        """Count an answer and write it."""
        self.record.sent(len(data), self.service.reactor.seconds())
        self.transport.write(data)

    def close(self, reason: EndReason) -> None:
        """Close the connection once everything is written."""
        self._reason = self._reason or reason
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self, reason: EndReason) -> None:
        """Close the connection at once."""
        self._reason = self._reason or reason
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """Close: the client has closed its side, and all of its input has been answered."""
        self.close(EndReason.EOF)

    def writeConnectionLost(self) -> None:
        """Do nothing: the sending side is never closed alone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Enter the end of the connection in the ledger."""
        ending = EndReason.ERROR
        if isinstance(reason.value, ConnectionDone | ConnectionLost):
            is_reset = isinstance(reason.value, ConnectionLost)
            ending = EndReason.RESET if is_reset else EndReason.EOF
        self.service.closed(self.record, self._reason or ending)
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        """Read no more until the client has read."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""
