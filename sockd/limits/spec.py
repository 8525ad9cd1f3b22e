"""The limits of a service, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from sockd.limits.buckets import UNLIMITED, RateLimit
from sockd.model.ip import IPNetwork

_SOURCE_PACKETS = RateLimit(1000, 1.0)
_SOURCE_BYTES = RateLimit(10 * 1024 * 1024, 1.0)
_TOTAL_PACKETS = RateLimit(20_000, 1.0)
_TOTAL_BYTES = RateLimit(100 * 1024 * 1024, 1.0)
"""Out of the way of people and of most programs, and the end of a flood."""


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What one service grants its clients. Durations are in seconds; 0 means no limit.

    :ivar allow: the networks whose clients may come in; none: all may.
    :ivar deny: the networks whose clients may not.
    :ivar per_source: how many connections one source has at once.
    :ivar connect_rate: how many connections one source begins.
    :ivar total_rate: how many connections all of them begin.
    :ivar max_lifetime: close a connection after this long.
    :ivar max_bytes: close a connection after so many received bytes.
    :ivar source_packets: how many datagrams of one source are answered.
    :ivar source_bytes: how many bytes in datagrams of one source are answered.
    :ivar total_packets: how many datagrams are answered in all.
    :ivar total_bytes: how many bytes in datagrams are answered in all.
    :ivar unguarded: which of :data:`~sockd.limits.reflection.GUARDS` are switched off.
    """

    allow: tuple[IPNetwork, ...] = ()
    deny: tuple[IPNetwork, ...] = ()
    per_source: int = 0
    connect_rate: RateLimit = UNLIMITED
    total_rate: RateLimit = UNLIMITED
    max_lifetime: float = 0.0
    max_bytes: int = 0
    source_packets: RateLimit = _SOURCE_PACKETS
    source_bytes: RateLimit = _SOURCE_BYTES
    total_packets: RateLimit = _TOTAL_PACKETS
    total_bytes: RateLimit = _TOTAL_BYTES
    unguarded: tuple[str, ...] = ()
