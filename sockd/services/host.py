"""What stream connections need of their service, and it of them."""

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
    """A balancer's connection that has not said yet which client it relays."""

    def hang_up(self, reason: RefusalReason) -> None:
        """Refuse it."""


class OpenConnection(Protocol):
    """A connection that is open."""

    def hang_up(self, reason: EndReason) -> None:
        """Close it soon, whatever its peer does."""

    def tcp_info(self) -> Mapping[str, object] | None:
        """Return the kernel's view of it."""


class ConnectionHost(Protocol):
    """A service that has stream connections.

    :ivar reply: what the next connections are answered with.
    :ivar fast_path: where plain connections may be echoed; ``None`` if the next ones may not.
    """

    reactor: IReactor
    spec: ServiceSpec
    reply: IReply
    fast_path: FastPath | None

    def refusal(self, client: Address) -> RefusalReason | None:
        """Return why a client may not connect, or ``None`` if it may."""

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
        """Enter the end of a connection."""

    def refused(self, listener: Listener, peer: Address, reason: RefusalReason) -> None:
        """Enter a client that was refused."""

    def arrived(self, protocol: PendingClient) -> None:
        """Count a pending client against the limit."""

    def left(self, protocol: PendingClient) -> None:
        """Release what a pending client was counted for."""
