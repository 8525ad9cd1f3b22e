"""PURE: what the servers are given to do, and which figures come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """How a work is measured."""

    TCP = auto()
    UDP = auto()
    CONNECT = auto()
    IDLE = auto()
    START = auto()
    FAIR = auto()
    WATCHED = auto()


@dataclass(frozen=True)
class Figure:
    """One of the figures that a measurement yields.

    :ivar name: its key in a measurement.
    :ivar unit: what people read behind the number.
    """

    name: str
    unit: str


RATE = Figure("rate", "messages/s")
CONNECTIONS = Figure("rate", "connections/s")
P50 = Figure("p50", "µs, p50")
MEMORY = Figure("kib_each", "KiB each")
BESIDE = Figure("beside", "of the rate without")
START = Figure("start", "s")
HEALTH = Figure("health_p99", "ms, p99")
WATCHED = Figure("watched", "of the rate without")


@dataclass(frozen=True)
class Work:
    """One block of the table.

    :ivar name: for the command line.
    :ivar title: for people.
    :ivar size: of a message, in bytes.
    """

    name: str
    title: str
    kind: Kind
    figures: tuple[Figure, ...]
    clients: int = 0
    size: int = 1


WORKS = (
    Work("tcp-64", "TCP 64 B, 64 clients", Kind.TCP, (RATE,), 64, 64),
    Work("tcp-1k", "TCP 1 KiB, 64 clients", Kind.TCP, (RATE,), 64, 1024),
    Work("tcp-64k", "TCP 64 KiB, 16 clients", Kind.TCP, (RATE,), 16, 65536),
    Work("udp-64", "UDP 64 B, 16 clients", Kind.UDP, (RATE,), 16, 64),
    Work("udp-1k", "UDP 1 KiB, 16 clients", Kind.UDP, (RATE,), 16, 1024),
    Work("connect", "connect, 1 byte, close, 64 at a time", Kind.CONNECT, (CONNECTIONS,), 64),
    Work("latency", "TCP 64 B, 1 client", Kind.TCP, (P50,), 1, 64),
    Work("idle", "beside idle connections", Kind.IDLE, (MEMORY, BESIDE), 64, 64),
    Work("start", "start to the first answer", Kind.START, (START,)),
    Work("fair", "/health beside 64 flooding clients", Kind.FAIR, (HEALTH,), 64),
    Work("watched", "connect, beside 3 readers of /events", Kind.WATCHED, (WATCHED,), 64),
)
"""In the order of the table."""
