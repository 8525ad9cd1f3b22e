"""Token buckets.

A :class:`RateLimit` is a configured limit, and a :class:`Bucket` holds the tokens that are left of
it. A new bucket is full. Tokens are added continuously, up to the capacity of the bucket.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate limit.

    :ivar count: the number of tokens per period, and the capacity of a bucket.
    :ivar period: in seconds.
    """

    count: float
    period: float

    @property
    def rate(self) -> float:
        """Tokens per second; the largest float if unlimited."""
        return sys.float_info.max if math.isinf(self.count) else self.count / self.period


UNLIMITED = RateLimit(math.inf, 1.0)
"""No limit."""


class Bucket:
    """A token bucket.

    :ivar tokens: the number of tokens at the time :attr:`stamp`.
    """

    __slots__ = ("stamp", "tokens")

    def __init__(self, rate_limit: RateLimit, now: float) -> None:
        self.tokens = float(rate_limit.count)
        self.stamp = now

    def fill(self, rate_limit: RateLimit, now: float) -> float:
        """Add the tokens since the last call; return the number of tokens.

        If the clock was set back, no tokens are added, and time counts from the new value.
        """
        passed = max(0.0, now - self.stamp)
        self.stamp = now
        self.tokens = min(rate_limit.count, self.tokens + passed * rate_limit.rate)
        return self.tokens

    def take(self, rate_limit: RateLimit, now: float) -> bool:
        """Take one token; return ``False`` if there was none."""
        if self.fill(rate_limit, now) < 1.0:
            return False
        self.tokens -= 1.0
        return True
