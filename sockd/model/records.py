"""The records of the ledger: services, their listeners and their connections.

Services write them, everything else reads. A connection's record is small, and its counters are
touched directly. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason


class State(StrEnum):
    """Where a service is in its life."""

    LISTENING = "listening"
    PAUSED = "paused"
    """Full: the kernel goes on connecting clients, and they wait to be accepted."""
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound endpoint.

    :ivar transport: ``tcp``, ``udp``, ``unix`` or ``tls``.
    :ivar backlog: the length of listen(2)'s queue; ``None`` for UDP. It can change while the
        listener stays the same.
    :ivar not_after: when the first of the certificates that it shows expires; ``None`` without
        TLS. It can change too.
    """

    transport: str
    address: Address
    backlog: int | None = field(compare=False)
    not_after: float | None = field(default=None, compare=False)


class ServiceRecord:
    """A service's account: its listeners, its open connections and its totals.

    :ivar ends: how many connections ended for each reason; ``closed`` in all.
    :ivar refusals: how many clients were turned away for each reason; ``refused`` in all.
    :ivar terms: what to say of the limits that are in force, with their values.
    """

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "closed",
        "connections",
        "ends",
        "errors",
        "kind",
        "listeners",
        "name",
        "opened",
        "reads",
        "refusals",
        "refused",
        "reply",
        "state",
        "terms",
        "writes",
    )

    def __init__(self, name: str, kind: str, reply: str) -> None:
        self.name = name
        self.kind = kind
        self.reply = reply
        self.state = State.STOPPED
        self.listeners: tuple[Listener, ...] = ()
        self.connections: dict[int, Connection] = {}
        self.opened = 0
        self.closed = 0
        self.ends: dict[EndReason, int] = {}
        self.refused = 0
        self.refusals: dict[RefusalReason, int] = {}
        self.terms: Mapping[RefusalReason, str] = {}
        self.bytes_in = 0
        self.bytes_out = 0
        self.reads = 0
        self.writes = 0
        self.errors = 0

    @property
    def active(self) -> int:
        """How many connections are open."""
        return len(self.connections)

    def echoed(self, messages: int, size: int) -> None:
        """Count what its connections have echoed: so many reads and writes, of so many bytes."""
        self.reads += messages
        self.writes += messages
        self.bytes_in += size
        self.bytes_out += size

    def turned_away(self, reason: RefusalReason) -> None:
        """Count a client that was refused."""
        self.refused += 1
        self.refusals[reason] = self.refusals.get(reason, 0) + 1


class Connection:
    """One 4-tuple: a stream connection, or a UDP flow.

    :ivar id: counts up from 1 over all services, and is never used again.
    :ivar local: this end; the port is the listener's.
    :ivar peer: the other end.
    :ivar via: the balancer that relays the connection: the end that the socket has. ``None`` where
        that is the peer itself.
    :ivar bytes_out: bytes handed over to be sent. After a reset the last of them may never have
        left, or never have arrived.
    :ivar reads: how often something was received: chunks of a stream, or datagrams.
    :ivar closed: when it ended; ``None`` while it is open.
    """

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "closed",
        "id",
        "last_activity",
        "listener",
        "local",
        "opened",
        "peer",
        "reads",
        "reason",
        "service",
        "via",
        "writes",
    )

    def __init__(
        self,
        number: int,
        service: ServiceRecord,
        listener: Listener,
        local: Address,
        peer: Address,
        now: float,
        via: Address | None = None,
    ) -> None:
        self.id = number
        self.service = service
        self.listener = listener
        self.local = local
        self.peer = peer
        self.via = via
        self.opened = now
        self.last_activity = now
        self.closed: float | None = None
        self.reason: EndReason | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.reads = 0
        self.writes = 0

    def received(self, size: int, now: float) -> None:
        """Count one read of so many bytes."""
        self.last_activity = now
        self.reads += 1
        self.bytes_in += size
        service = self.service
        service.reads += 1
        service.bytes_in += size

    def sent(self, size: int, now: float) -> None:
        """Count one write of so many bytes."""
        self.last_activity = now
        self.writes += 1
        self.bytes_out += size
        service = self.service
        service.writes += 1
        service.bytes_out += size

    def echoed(self, size: int, now: float) -> None:
        """Count one read of so many bytes, and one write of the same, but not for the service."""
        self.last_activity = now
        self.reads += 1
        self.writes += 1
        self.bytes_in += size
        self.bytes_out += size

    def unsent(self, size: int) -> None:
        """Take one write back that was counted and then not taken by the system."""
        self.writes -= 1
        self.bytes_out -= size
        service = self.service
        service.writes -= 1
        service.bytes_out -= size
