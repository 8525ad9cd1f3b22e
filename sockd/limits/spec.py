"""The configured limits of a service."""

from __future__ import annotations

from dataclasses import dataclass

from sockd.limits.buckets import UNLIMITED, RateLimit
from sockd.model.ip import IPNetwork

_SOURCE_PACKETS = RateLimit(1000, 1.0)
_SOURCE_BYTES = RateLimit(10 * 1024 * 1024, 1.0)
_TOTAL_PACKETS = RateLimit(20_000, 1.0)
_TOTAL_BYTES = RateLimit(100 * 1024 * 1024, 1.0)
"""Defaults that most programs do not reach and that stop a flood."""


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """The limits of a service. Durations are in seconds; 0 means no limit.

    :ivar allow: the allowed networks; empty: all networks.
    :ivar deny: the denied networks.
    :ivar per_source: the maximum number of open connections of a source.
    :ivar connect_rate: the rate limit of new connections of a source.
    :ivar total_rate: the rate limit of new connections of all sources.
    :ivar max_lifetime: the maximum lifetime of a connection.
    :ivar max_bytes: the maximum number of bytes that a connection may send.
    :ivar source_packets: the rate limit of datagrams of a source.
    :ivar source_bytes: the rate limit of bytes in datagrams of a source.
    :ivar total_packets: the rate limit of datagrams of all sources.
    :ivar total_bytes: the rate limit of bytes in datagrams of all sources.
    :ivar unguarded: the disabled :data:`~sockd.limits.reflection.GUARDS`.
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
