"""Decides whether a datagram is answered: the one object of a datagram service for that.

What a peer is, is looked at when it has no flow yet; what it spends, at every datagram.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sockd.limits.access import AccessList
from sockd.limits.budget import Budget, TokenBuckets
from sockd.limits.reflection import Guard
from sockd.model.reasons import RefusalReason

if TYPE_CHECKING:
    from sockd.limits.spec import LimitsSpec
    from sockd.model.address import Address


class DatagramPolicy:
    """The limits of one service, and who has used how much of them.

    :param own_ports: returns the ports of this daemon's own datagram services.
    """

    def __init__(
        self, limits: LimitsSpec, own_ports: Callable[[], Collection[int | None]], now: float
    ) -> None:
        self._own_ports = own_ports
        self._budget = Budget(limits, now)
        self.spend = self._budget.spend
        self._look_at(limits)

    def apply(self, limits: LimitsSpec, now: float) -> None:
        """Go by other limits from now on; open flows go on, within the new budgets."""
        if limits != self._limits:
            self._budget.apply(limits, now)
            self._look_at(limits)

    def refusal(self, peer: Address, is_for_many: bool) -> RefusalReason | None:
        """Return why a peer gets no answer; ``None`` if it may have one.

        :param is_for_many: whether it was a multicast or broadcast address that it asked.
        """
        if not self._access.admits(peer):
            return RefusalReason.DENIED
        return self._guard.refusal(peer, is_for_many)

    def buckets(self, peer: Address, now: float) -> TokenBuckets:
        """Return what a flow of this peer spends from."""
        return self._budget.buckets(peer, now)

    def _look_at(self, limits: LimitsSpec) -> None:
        self._limits = limits
        self._access = AccessList(limits.allow, limits.deny)
        self._guard = Guard(limits.unguarded, self._own_ports)
