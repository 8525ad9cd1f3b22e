"""The admission of clients to a stream service.

Each service has one :class:`Admission` object. New limits may be applied at any time. They take
effect for new clients; open connections remain counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockd.limits.access import AccessList
from sockd.limits.buckets import UNLIMITED, Bucket
from sockd.limits.sources import Counts, LRUCache, Source, source_of
from sockd.model.reasons import RefusalReason

if TYPE_CHECKING:
    from sockd.limits.spec import LimitsSpec
    from sockd.model.address import Address


class Admission:
    """The limits of a stream service and their current use.

    :param now: the time, in seconds.
    """

    def __init__(self, limits: LimitsSpec, now: float) -> None:
        self._open = Counts()
        self._rates = LRUCache(self._full_bucket)
        self._total = Bucket(limits.total_rate, now)
        self._set_limits(limits)

    def apply(self, limits: LimitsSpec, now: float) -> None:
        """Apply new limits; a rate limit that changed starts with full buckets."""
        if limits.connect_rate != self._limits.connect_rate:
            self._rates = LRUCache(self._full_bucket)
        if limits.total_rate != self._limits.total_rate:
            self._total = Bucket(limits.total_rate, now)
        self._set_limits(limits)

    def admit(self, peer: Address, now: float) -> RefusalReason | None:
        """Return why a client is refused, or ``None`` if it is accepted.

        A refused client takes no tokens from any bucket.
        """
        if not self._access.admits(peer):
            return RefusalReason.DENIED
        source = source_of(peer)
        if source is not None and 0 < self._limits.per_source <= self._open.of(source):
            return RefusalReason.PER_SOURCE
        return self._exceeded_rate(source, now) if self._has_rates else None

    def opened(self, peer: Address) -> None:
        """Count a new connection of a peer."""
        source = source_of(peer)
        if source is not None:
            self._open.add(source)

    def closed(self, peer: Address) -> None:
        """Count the end of a connection of a peer."""
        source = source_of(peer)
        if source is not None:
            self._open.remove(source)

    def _set_limits(self, limits: LimitsSpec) -> None:
        self._limits = limits
        self._access = AccessList(limits.allow, limits.deny)
        self._has_rates = {limits.connect_rate, limits.total_rate} != {UNLIMITED}

    def _exceeded_rate(self, source: Source | None, now: float) -> RefusalReason | None:
        bucket = self._bucket(source, now)
        if bucket is not None and bucket.fill(self._limits.connect_rate, now) < 1:
            return RefusalReason.CONNECT_RATE
        if not self._total.take(self._limits.total_rate, now):
            return RefusalReason.TOTAL_RATE
        if bucket is not None:
            bucket.tokens -= 1
        return None

    def _bucket(self, source: Source | None, now: float) -> Bucket | None:
        """Return the bucket of a source; ``None`` if its rate is unlimited."""
        if source is None or self._limits.connect_rate == UNLIMITED:
            return None
        return self._rates.of(source, now)

    def _full_bucket(self, now: float) -> Bucket:
        return Bucket(self._limits.connect_rate, now)
