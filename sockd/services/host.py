"""The interface between a stream service and its connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sockd.config.specs import ServiceSpec
    from sockd.interfaces import IReply
    from sockd.model.address import Address
    from sockd.model.reasons import EndReason, RefusalReason
    from sockd.model.records import Connection, Listener
    from sockd.reactor import IReactor
    from sockd.services.fastpath.fastpath import FastPath


class PendingClient(Protocol):
    """A connection from a load balancer whose PROXY header has not arrived yet."""

    def hang_up(self, reason: RefusalReason) -> None:
        """Refuse the connection."""


class OpenConnection(Protocol):
    """A connection that is open."""

    def hang_up(self, reason: EndReason) -> None:
        """Close the connection soon, whatever the peer does."""

    def tcp_info(self) -> Mapping[str, object] | None:
        """Return the kernel's view of the connection."""


class ConnectionHost(Protocol):
    """A stream service, as its connections see it.

    :ivar reply: the reply of new connections.
    :ivar fast_path: the fast path of new connections; ``None`` if they may not use it.
    """

    reactor: IReactor
    spec: ServiceSpec
    reply: IReply
    fast_path: FastPath | None

    def refusal(self, client: Address) -> RefusalReason | None:
        """Return why a client is refused, or ``None`` if it is accepted."""

    def opened(
        self,
        protocol: OpenConnection,
        listener: Listener,
        local: Address,
        peer: Address,
        via: Address | None,
    ) -> Connection:
        """Add a connection to the ledger."""

    def closed(self, connection: Connection, reason: EndReason) -> None:
        """Record the end of a connection in the ledger."""

    def refused(self, listener: Listener, peer: Address, reason: RefusalReason) -> None:
        """Record a refused client in the ledger."""

    def arrived(self, protocol: PendingClient) -> None:
        """Count a pending client against the connection limit."""

    def left(self, protocol: PendingClient) -> None:
        """Stop counting a pending client."""
