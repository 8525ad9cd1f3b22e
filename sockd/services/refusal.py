"""A stream client that is refused: accepted, counted and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server

if TYPE_CHECKING:
    from sockd.model.address import Address
    from sockd.model.reasons import RefusalReason
    from sockd.model.records import Listener
    from sockd.net.stream_transport import IStreamTransport
    from sockd.services.host import ConnectionHost


class RefusedConnection(Protocol):
    """The protocol of a refused client; it closes the connection at once, also under TLS."""

    transport: IStreamTransport

    def __init__(
        self, service: ConnectionHost, listener: Listener, peer: Address, reason: RefusalReason
    ) -> None:
        self._service = service
        self._listener = listener
        self._peer = peer
        self._reason = reason

    def connectionMade(self) -> None:
        """Record the refusal in the ledger and close the connection.

        A plain socket is closed immediately and not in the next reactor turn: one turn may accept
        more clients than there are descriptors.
        """
        self._service.refused(self._listener, self._peer, self._reason)
        if isinstance(self.transport, Server):
            self.transport.connectionLost(connectionDone)
        else:
            self.transport.loseConnection()
