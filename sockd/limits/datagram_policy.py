"""The admission of datagrams to a datagram service.

Access lists and anti-reflection rules are checked for a peer without a flow, rate limits for every
datagram.
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
    """The limits of a datagram service and their current use.

    :param own_ports: returns the ports of this daemon's own datagram services.
    """

    def __init__(
        self, limits: LimitsSpec, own_ports: Callable[[], Collection[int | None]], now: float
    ) -> None:
        self._own_ports = own_ports
        self._budget = Budget(limits, now)
        self.spend = self._budget.spend
        self._set_limits(limits)

    def apply(self, limits: LimitsSpec, now: float) -> None:
        """Apply new limits; the new rate limits apply to open flows too."""
        if limits != self._limits:
            self._budget.apply(limits, now)
            self._set_limits(limits)

    def refusal(self, peer: Address, is_for_many: bool) -> RefusalReason | None:
        """Return why a peer is refused, or ``None`` if it is answered.

        :param is_for_many: whether its datagram was sent to a multicast or broadcast address.
        """
        if not self._access.admits(peer):
            return RefusalReason.DENIED
        return self._guard.refusal(peer, is_for_many)

    def buckets(self, peer: Address, now: float) -> TokenBuckets:
        """Return the token buckets for a flow of this peer."""
        return self._budget.buckets(peer, now)

    def _set_limits(self, limits: LimitsSpec) -> None:
        self._limits = limits
        self._access = AccessList(limits.allow, limits.deny)
        self._guard = Guard(limits.unguarded, self._own_ports)
