"""The records of the ledger: services, their listeners and their connections.

Services write them; everything else reads them. Times are in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason


class State(StrEnum):
    """The state of a service."""

    LISTENING = "listening"
    PAUSED = "paused"
    """The service is full; new clients wait in the accept queue."""
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound endpoint.

    :ivar transport: ``tcp``, ``udp``, ``unix`` or ``tls``.
    :ivar backlog: the limit of the accept queue; ``None`` for UDP. It is not part of the identity.
    :ivar not_after: the earliest expiry time of its certificates; ``None`` without TLS. It is not
        part of the identity.
    """

    transport: str
    address: Address
    backlog: int | None = field(compare=False)
    not_after: float | None = field(default=None, compare=False)


class ServiceRecord:
    """A service's record: its listeners, open connections and counters.

    :ivar ends: the number of closed connections by reason; their sum is ``closed``.
    :ivar refusals: the number of refused clients by reason; their sum is ``refused``.
    :ivar terms: the text for each limit in effect, with its value, for the log.
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
        """The number of open connections."""
        return len(self.connections)

    def echoed(self, messages: int, size: int) -> None:
        """Count echoed messages.

        :param messages: the number of reads, and of writes.
        :param size: the number of bytes in all of them.
        """
        self.reads += messages
        self.writes += messages
        self.bytes_in += size
        self.bytes_out += size

    def count_refusal(self, reason: RefusalReason) -> None:
        """Count a refused client."""
        self.refused += 1
        self.refusals[reason] = self.refusals.get(reason, 0) + 1


class Connection:
    """A stream connection or a UDP flow, identified by its 4-tuple.

    :ivar id: a number, counted from 1 over all services and never reused.
    :ivar local: the local address; the port is the listener's.
    :ivar peer: the address of the client.
    :ivar via: the load balancer that relays the connection, which is the socket's peer; otherwise
        ``None``.
    :ivar bytes_out: the number of bytes written. After a reset the last of them may not have been
        sent or received.
    :ivar reads: the number of reads from a stream, or of datagrams received.
    :ivar closed: the time of the end; ``None`` while it is open.
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
        """Count one read of ``size`` bytes, also for the service."""
        self.last_activity = now
        self.reads += 1
        self.bytes_in += size
        service = self.service
        service.reads += 1
        service.bytes_in += size

    def sent(self, size: int, now: float) -> None:
        """Count one write of ``size`` bytes, also for the service."""
        self.last_activity = now
        self.writes += 1
        self.bytes_out += size
        service = self.service
        service.writes += 1
        service.bytes_out += size

    def echoed(self, size: int, now: float) -> None:
        """Count one read and one write of ``size`` bytes, but not for the service."""
        self.last_activity = now
        self.reads += 1
        self.writes += 1
        self.bytes_in += size
        self.bytes_out += size

    def unsent(self, size: int) -> None:
        """Subtract one counted write of ``size`` bytes that failed, also for the service."""
        self.writes -= 1
        self.bytes_out -= size
        service = self.service
        service.writes -= 1
        service.bytes_out -= size
