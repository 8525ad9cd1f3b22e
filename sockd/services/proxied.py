"""A connection that a balancer relays: its PROXY header is read, and then its client is served.

The transport itself is handed on, with nothing left in between: half-close, the fast lane and a
connection that is broken off are what they are without a balancer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from sockd.model.address import Address
from sockd.model.reasons import RefusalReason
from sockd.model.records import Listener
from sockd.net.stream_transport import IStreamTransport
from sockd.proxy.header import Header, MalformedHeader
from sockd.proxy.reader import HeaderReader
from sockd.services.connection import StreamConnection

if TYPE_CHECKING:
    from sockd.services.host import ConnectionHost

ConnectionMaker = Callable[[Listener, Address, Address | None], StreamConnection]
"""Returns the protocol that serves a client: its listener, the client, and its balancer."""

HEADER_TIME = 5.0
"""How long a header may take to be whole, in seconds: long enough to be sent again once."""


class ProxiedConnection(Protocol):
    """Holds a place in its service until the header has come.

    If none does, or the client may not come in, the balancer is turned away, and counted as others
    are.
    """

    transport: IStreamTransport

    def __init__(
        self,
        service: ConnectionHost,
        listener: Listener,
        balancer: Address,
        make: ConnectionMaker,
    ) -> None:
        self._make = make
        self._service = service
        self._listener = listener
        self._balancer = balancer
        self._reader = HeaderReader()
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Wait for the header, but not for long: that it trickles in does not make it longer."""
        self._service.arrived(self)
        self._deadline = self._service.reactor.callLater(
            HEADER_TIME, self.hang_up, RefusalReason.PROXY_TIMEOUT
        )

    def dataReceived(self, data: bytes) -> None:
        """Read on in the header."""
        try:
            found = self._reader.feed(data)
        except MalformedHeader:
            self.hang_up(RefusalReason.PROXY_HEADER)
        else:
            if found is not None:
                self._serve_client(*found)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count a connection that ended before its header."""
        if self._deadline is not None:
            self._leave()
            self._service.refused(self._listener, self._balancer, RefusalReason.PROXY_HEADER)

    def hang_up(self, reason: RefusalReason) -> None:
        """Turn the balancer away; who it speaks for is not known."""
        self._turn_away(self._balancer, reason)

    def _serve_client(self, header: Header, rest: bytes) -> None:
        """Serve the client, beginning with what came along with the header."""
        client = header.source or self._balancer
        refusal = self._service.refusal(client)
        if refusal is not None:
            self._turn_away(client, refusal)
            return
        self._leave()
        via = None if client == self._balancer else self._balancer
        connection = self._make(self._listener, client, via)
        self.transport.protocol = connection
        self.transport.pauseProducing()
        connection.makeConnection(self.transport)  # type: ignore[no-untyped-call]
        if rest:
            connection.first_data(rest)

    def _turn_away(self, client: Address, reason: RefusalReason) -> None:
        self._leave()
        self._service.refused(self._listener, client, reason)
        self.transport.loseConnection()

    def _leave(self) -> None:
        """Wait no longer."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
        self._service.left(self)
