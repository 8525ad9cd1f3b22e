"""A connection that a load balancer relays: the PROXY header is read, then the client is served.

After the header the transport gets the client's protocol, without a wrapper in between. Half-close,
resets and the fast path therefore work as without a load balancer.
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
"""A function of listener, client and load balancer that returns the client's protocol."""

HEADER_TIME = 5.0
"""The timeout for the complete header, in seconds: long enough for one retransmission."""


class ProxiedConnection(Protocol):
    """The protocol that reads the PROXY header.

    The connection counts against the service's limit meanwhile. It is refused if no valid header
    arrives in time or if the client is refused.
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
        """Start the timeout of the header; further input does not extend it."""
        self._service.arrived(self)
        self._deadline = self._service.reactor.callLater(
            HEADER_TIME, self.hang_up, RefusalReason.PROXY_TIMEOUT
        )

    def dataReceived(self, data: bytes) -> None:
        """Pass input to the header reader; serve the client when the header is complete."""
        try:
            found = self._reader.feed(data)
        except MalformedHeader:
            self.hang_up(RefusalReason.PROXY_HEADER)
        else:
            if found is not None:
                self._serve_client(*found)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count a connection that ended before its header was complete."""
        if self._deadline is not None:
            self._leave()
            self._service.refused(self._listener, self._balancer, RefusalReason.PROXY_HEADER)

    def hang_up(self, reason: RefusalReason) -> None:
        """Refuse the connection under the load balancer's address: the client is not known."""
        self._refuse(self._balancer, reason)

    def _serve_client(self, header: Header, rest: bytes) -> None:
        """Serve the client, starting with the input that followed the header."""
        client = header.source or self._balancer
        refusal = self._service.refusal(client)
        if refusal is not None:
            self._refuse(client, refusal)
            return
        self._leave()
        via = None if client == self._balancer else self._balancer
        connection = self._make(self._listener, client, via)
        self.transport.protocol = connection
        self.transport.pauseProducing()
        connection.makeConnection(self.transport)  # type: ignore[no-untyped-call]
        if rest:
            connection.first_data(rest)

    def _refuse(self, client: Address, reason: RefusalReason) -> None:
        self._leave()
        self._service.refused(self._listener, client, reason)
        self.transport.loseConnection()

    def _leave(self) -> None:
        """Stop the timeout, and stop counting as a pending client."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
        self._service.left(self)
