"""The rate limits of a datagram service: datagrams and bytes, per source and in total.

They count requests. Since an answer is never longer than its request, they limit answers too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sockd.limits.buckets import UNLIMITED
from sockd.limits.sources import LRUCache, source_of
from sockd.model.reasons import RefusalReason

if TYPE_CHECKING:
    from sockd.limits.buckets import RateLimit
    from sockd.limits.spec import LimitsSpec
    from sockd.model.address import Address


@dataclass(frozen=True, slots=True)
class _Terms:
    """The rate limits of datagrams and bytes, in the form that :meth:`TokenBuckets.fill` needs."""

    packets: float
    packet_rate: float
    bytes: float
    byte_rate: float


def _terms(packets: RateLimit, size: RateLimit) -> _Terms:
    return _Terms(packets.count, packets.rate, size.count, size.rate)


class TokenBuckets:
    """Two token buckets with a common time: one for datagrams, one for bytes."""

    __slots__ = ("bytes", "packets", "stamp")

    def __init__(self, terms: _Terms, now: float) -> None:
        self.packets = terms.packets
        self.bytes = terms.bytes
        self.stamp = now

    def fill(self, terms: _Terms, now: float) -> None:
        """Add the tokens since the last call; none if the clock was set back."""
        passed = now - self.stamp
        self.stamp = now
        if passed > 0.0:
            self.packets += passed * terms.packet_rate
            self.bytes += passed * terms.byte_rate
        # Not min(): this runs twice for each datagram, and the calls would dominate its cost.
        if self.packets > terms.packets:
            self.packets = terms.packets
        if self.bytes > terms.bytes:
            self.bytes = terms.bytes


class Budget:
    """The token buckets of a datagram service.

    A flow keeps a reference to the buckets of its source, so that its datagrams need no lookup.
    Besides these, the buckets of the sources that began a flow most recently are kept; see
    :mod:`sockd.limits.sources` for the consequences.
    """

    def __init__(self, limits: LimitsSpec, now: float) -> None:
        self.apply(limits, now)

    def apply(self, limits: LimitsSpec, now: float) -> None:
        """Apply new limits; the total and the sources of new flows start with full buckets."""
        self._each = _terms(limits.source_packets, limits.source_bytes)
        self._all = _terms(limits.total_packets, limits.total_bytes)
        self._buckets = LRUCache(self._full_buckets)
        self._total = TokenBuckets(self._all, now)
        self._is_off = self._each == self._all == _terms(UNLIMITED, UNLIMITED)

    def buckets(self, peer: Address, now: float) -> TokenBuckets:
        """Return the buckets of a peer's source."""
        return self._buckets.of(source_of(peer) or peer.host, now)

    def spend(self, buckets: TokenBuckets, size: int, now: float) -> RefusalReason | None:
        """Take the tokens of a datagram from the source's buckets and from the total.

        :param size: of the datagram, in bytes.
        :return: the limit that is exceeded, and then no tokens are taken; otherwise ``None``.
        """
        if self._is_off:
            return None
        buckets.fill(self._each, now)
        if buckets.packets < 1.0:
            return RefusalReason.SOURCE_PACKETS
        if buckets.bytes < size:
            return RefusalReason.SOURCE_BYTES
        total = self._total
        total.fill(self._all, now)
        if total.packets < 1.0:
            return RefusalReason.TOTAL_PACKETS
        if total.bytes < size:
            return RefusalReason.TOTAL_BYTES
        buckets.packets -= 1.0
        buckets.bytes -= size
        total.packets -= 1.0
        total.bytes -= size
        return None

    def _full_buckets(self, now: float) -> TokenBuckets:
        return TokenBuckets(self._each, now)
