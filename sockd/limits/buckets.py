"""Token buckets: so many at once, and as many again in each period.

An :class:`RateLimit` is what is allowed, a :class:`Bucket` is what is left of it for somebody. A
new bucket is full. Tokens come in steadily, and a full bucket takes no more of them.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many in so many seconds, and no more than that at once."""

    count: float
    period: float

    @property
    def rate(self) -> float:
        """How many come in each second; the greatest of numbers where they never run out."""
        return sys.float_info.max if math.isinf(self.count) else self.count / self.period


UNLIMITED = RateLimit(math.inf, 1.0)
"""What never runs out."""


class Bucket:
    """What is left of an allowance.

    :ivar tokens: how many there were at the time of :attr:`stamp`.
    """

    __slots__ = ("stamp", "tokens")

    def __init__(self, rate_limit: RateLimit, now: float) -> None:
        self.tokens = float(rate_limit.count)
        self.stamp = now

    def fill(self, rate_limit: RateLimit, now: float) -> float:
        """Add what has come in since the last time; return how many tokens there are.

        A clock that was set back adds nothing, and is believed from then on.
        """
        passed = max(0.0, now - self.stamp)
        self.stamp = now
        self.tokens = min(rate_limit.count, self.tokens + passed * rate_limit.rate)
        return self.tokens

    def take(self, rate_limit: RateLimit, now: float) -> bool:
        """Take one token; return whether there was one."""
        if self.fill(rate_limit, now) < 1.0:
            return False
        self.tokens -= 1.0
        return True
