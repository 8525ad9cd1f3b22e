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
    """Closes its connection at once, and leaves no socket open behind TLS either."""

    transport: IStreamTransport

    def __init__(
        self, service: ConnectionHost, listener: Listener, peer: Address, reason: RefusalReason
    ) -> None:
        self._service = service
        self._listener = listener
        self._peer = peer
        self._reason = reason

    def connectionMade(self) -> None:
        """Enter the refusal in the ledger and close.

        A plain socket is closed here and now, not in the next turn of the reactor: there may be
        more such clients than descriptors.
        """
        self._service.refused(self._listener, self._peer, self._reason)
        if isinstance(self.transport, Server):
            self.transport.connectionLost(connectionDone)
        else:
            self.transport.loseConnection()
