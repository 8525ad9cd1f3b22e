"""A rate limit for log lines that counts the suppressed ones. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Throttle:
    """A token bucket.

    :param clock: returns a time in seconds.
    :param burst: the size of the bucket.
    :param rate: the tokens per second.
    """

    def __init__(self, clock: Callable[[], float], burst: int, rate: float) -> None:
        self._clock = clock
        self._burst = burst
        self._rate = rate
        self._room = float(burst)
        self._last = clock()
        self._missed = 0

    def allows(self) -> bool:
        """Return whether one more is allowed now; if not, it is counted as missed."""
        now = self._clock()
        self._room = min(self._burst, self._room + max(0.0, now - self._last) * self._rate)
        self._last = now
        if self._room < 1:
            self._missed += 1
            return False
        self._room -= 1
        return True

    def miss(self) -> None:
        """Count one that was suppressed for another reason."""
        self._missed += 1

    def take_missed(self) -> int:
        """Return the number of suppressed ones since the last call."""
        missed, self._missed = self._missed, 0
        return missed
