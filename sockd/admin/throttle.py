"""How many lines may be said in a row: a bounded rate, and a count of what was left out. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Throttle:
    """Lets so many through at once, and so many a second after that.

    :param clock: returns a time in seconds.
    :param burst: how many may come in a row after a silence.
    :param rate: how many a second in the long run.
    """

    def __init__(self, clock: Callable[[], float], burst: int, rate: float) -> None:
        self._clock = clock
        self._burst = burst
        self._rate = rate
        self._room = float(burst)
        self._last = clock()
        self._missed = 0

    def allows(self) -> bool:
        """Return whether one more may come now; if not, it is counted."""
        now = self._clock()
        self._room = min(self._burst, self._room + max(0.0, now - self._last) * self._rate)
        self._last = now
        if self._room < 1:
            self._missed += 1
            return False
        self._room -= 1
        return True

    def miss(self) -> None:
        """Count one that was left out for another reason."""
        self._missed += 1

    def take_missed(self) -> int:
        """Return how many were left out since this was asked last."""
        missed, self._missed = self._missed, 0
        return missed
