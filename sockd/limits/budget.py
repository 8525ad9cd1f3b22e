"""How many datagrams and bytes a service answers: for each source, and in all.

An answer is never longer than its question, so what is asked bounds what is said.
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
    """Two allowances in the numbers that each datagram needs."""

    packets: float
    packet_rate: float
    bytes: float
    byte_rate: float


def _terms(packets: RateLimit, size: RateLimit) -> _Terms:
    return _Terms(packets.count, packets.rate, size.count, size.rate)


class TokenBuckets:
    """Two token buckets in one: what somebody may still have answered."""

    __slots__ = ("bytes", "packets", "stamp")

    def __init__(self, terms: _Terms, now: float) -> None:
        self.packets = terms.packets
        self.bytes = terms.bytes
        self.stamp = now

    def fill(self, terms: _Terms, now: float) -> None:
        """Add what has come in since the last time; a clock that was set back adds nothing.

        Every datagram comes by here, twice: calls of ``min`` would cost more than all the rest.
        """
        passed = now - self.stamp
        self.stamp = now
        if passed > 0.0:
            self.packets += passed * terms.packet_rate
            self.bytes += passed * terms.byte_rate
        if self.packets > terms.packets:
            self.packets = terms.packets
        if self.bytes > terms.bytes:
            self.bytes = terms.bytes


class Budget:
    """The budgets of one service.

    Flows keep the purse of their source, so that a datagram of a known flow costs arithmetic only.
    Like rates, the purses of the sources that began a flow last are remembered, and of those that
    have one; see :mod:`sockd.limits.sources` for what that means.
    """

    def __init__(self, limits: LimitsSpec, now: float) -> None:
        self.apply(limits, now)

    def apply(self, limits: LimitsSpec, now: float) -> None:
        """Go by other budgets from now on; new flows and the sum of all begin with full purses."""
        self._each = _terms(limits.source_packets, limits.source_bytes)
        self._all = _terms(limits.total_packets, limits.total_bytes)
        self._buckets = LRUCache(self._full_buckets)
        self._total = TokenBuckets(self._all, now)
        self._is_off = self._each == self._all == _terms(UNLIMITED, UNLIMITED)

    def buckets(self, peer: Address, now: float) -> TokenBuckets:
        """Return the purse of a peer's source."""
        return self._buckets.of(source_of(peer) or peer.host, now)

    def spend(self, buckets: TokenBuckets, size: int, now: float) -> RefusalReason | None:
        """Take a datagram out of a purse and of everybody's.

        Return why not, if there is not enough; then nothing is taken.
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
