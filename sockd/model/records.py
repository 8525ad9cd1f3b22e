"""What the ledger's pages hold: services, listeners, connections, and the words for their lives.

Services write, everything else reads. A connection's record is small, and its counters are
touched directly. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sockd.model.address import Address


class State(StrEnum):
    """Where a service is in its life."""

    LISTENING = "listening"
    PAUSED = "paused"
    """Full: the kernel goes on connecting clients, and they wait to be accepted."""
    STOPPED = "stopped"
    FAILED = "failed"


class EventType(StrEnum):
    """What happened, in the words of the socket interface."""

    BIND = "bind"
    LISTEN = "listen"
    ACCEPT = "accept"
    REFUSE = "refuse"
    CLOSE = "close"


class Reason(StrEnum):
    """Why a connection ended, or was refused."""

    EOF = "eof"
    """The peer closed its side, and everything said to it was handed over."""
    RESET = "reset"
    """The peer, or the network, broke the connection off."""
    REPLIES = "replies"
    """It had its number of replies, or the conversation was done."""
    IDLE = "idle"
    DISCONNECT = "disconnect"
    """Somebody closed it in the admin shell."""
    STOP = "stop"
    """Its service was stopped."""
    EVICTED = "evicted"
    """A UDP flow that had to make room."""
    ERROR = "error"
    """A reply failed, which the log has, or TLS was not spoken."""
    LIFETIME = "lifetime"
    """It was open for as long as it may be."""
    MAX_BYTES = "max_bytes"
    """It had sent as many bytes as it may."""
    FULL = "full"
    """Refused: the service has as many connections as it may."""
    DENIED = "denied"
    """Refused: an address that may not come in."""
    PER_SOURCE = "per_source"
    """Refused: the source has as many connections as it may."""
    CONNECT_RATE = "connect_rate"
    """Refused: the source comes too often."""
    TOTAL_RATE = "total_rate"
    """Refused: all of them together come too often."""
    PROXY_HEADER = "proxy_header"
    """Refused: a balancer's connection began with no PROXY header, or a wrong one."""
    PROXY_TIMEOUT = "proxy_timeout"
    """Refused: a balancer's connection took too long over its PROXY header."""
    SOURCE_PACKETS = "source_packets"
    """Not answered: the source sends too many datagrams."""
    SOURCE_BYTES = "source_bytes"
    """Not answered: the source sends too many bytes in datagrams."""
    TOTAL_PACKETS = "total_packets"
    """Not answered: all of them together send too many datagrams."""
    TOTAL_BYTES = "total_bytes"
    """Not answered: all of them together send too many bytes in datagrams."""
    BROADCAST = "broadcast"
    """Not answered: sent to, or from, an address that stands for many hosts."""
    PORT_ZERO = "port_zero"
    """Not answered: sent from port 0, where nobody is."""
    OWN_PORT = "own_port"
    """Not answered: sent from a port that a datagram service of this daemon has."""
    REFLECTOR = "reflector"
    """Not answered: sent from the port of a service that answers whoever asks."""
    AMPLIFIES = "amplifies"
    """Not answered: the answer would be longer than the question."""


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
        self.ends: dict[Reason, int] = {}
        self.refused = 0
        self.refusals: dict[Reason, int] = {}
        self.terms: Mapping[Reason, str] = {}
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

    def turned_away(self, reason: Reason) -> None:
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
        self.reason: Reason | None = None
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


class Event(NamedTuple):
    """Something that happened to a service's sockets.

    :ivar connection: what was accepted or closed; ``None`` for the other words.
    :ivar peer: who was refused, for :attr:`EventType.REFUSE`.
    """

    type: EventType
    time: float
    service: ServiceRecord
    listener: Listener
    connection: Connection | None = None
    peer: Address | None = None
    reason: Reason | None = None
