"""One reader of the events: how far it is, and whether it keeps up.

A piece counts as taken when the reader's system has acknowledged it, not when the kernel here has
accepted it. Its send buffer grows to megabytes: hours of what a quiet daemon has to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred

from sockd.model.ledger import Clock
from sockd.stats.events.batcher import EventBatcher
from sockd.stats.events.sampler import StatsSampler
from sockd.stats.events.sse import HEARTBEAT, frame
from sockd.stats.http.answers import Outlet, encoded

SILENCE = 15.0
"""After how many seconds without anything to say a heartbeat is sent."""

STALL_TIMEOUT = 10.0
"""How long a reader may take for one piece, in seconds."""

FAREWELL = 1.0
"""How long a reader may take for the end of the stream, in seconds."""


class Subscriber:
    """Sends one piece at a time, and the next when that is taken and there is more.

    :param clock: returns the time in seconds since the epoch.
    :ivar is_slow: whether it took too long for a piece.
    """

    def __init__(self, news: EventBatcher, totals: StatsSampler, clock: Clock) -> None:
        self._news = news
        self._totals = totals
        self._number = 0
        self._clock = clock
        self._totals_told = 0
        self._sent_at = clock()
        self._more: Deferred[None] | None = None
        self._outlet: Outlet | None = None
        self._is_over = False
        self.is_slow = False

    def attach(self, outlet: Outlet) -> None:
        """Judge by this connection what the reader has taken."""
        self._outlet = outlet

    def slices(self, greeting: bytes, number: int) -> Iterator[bytes | Deferred[None]]:
        """Return what there is to say, and in between what fires when there is more.

        :param number: the event behind which it begins.
        """
        self._number = number
        yield greeting
        while not self._is_over:
            self._more = Deferred()
            yield self._more
            if not self.is_slow:
                yield self._piece()
        if self.is_slow:
            yield self._frame("dropped", encoded({"reason": "slow"}))
            return
        while self._number < self._news.front:
            yield self._piece()

    def tick(self) -> None:
        """Go on if there is something to say; give up if what was said is not taken."""
        silence = self._clock() - self._sent_at
        if self._is_over:
            return
        if not self._is_taken:
            if silence >= STALL_TIMEOUT:
                self._give_up()
        elif self._has_news or silence >= SILENCE:
            self._wake()

    def end(self) -> None:
        """Say what there is, and then nothing more."""
        self._is_over = True
        self._wake()

    @property
    def _is_taken(self) -> bool:
        """Whether the last piece has arrived; while the buffer is full there is no ``_more``."""
        return self._more is not None and (self._outlet is None or not self._outlet.untaken())

    def _give_up(self) -> None:
        """End the stream, with a last word if the buffer has room for one."""
        self._is_over = self.is_slow = True
        if self._more is None and self._outlet is not None:
            self._outlet.abort()
        self._wake()

    @property
    def _has_news(self) -> bool:
        return self._number < self._news.front or self._totals_told < self._totals.version

    def _piece(self) -> bytes:
        self._sent_at = self._clock()
        chunk = self._news.after(self._number)
        self._number = chunk.last
        if self._totals_told == self._totals.version:
            return chunk.data or HEARTBEAT
        self._totals_told = self._totals.version
        return chunk.data + self._frame("totals", self._totals.data)

    def _frame(self, word: str, data: bytes) -> bytes:
        return frame(word, data, self._news.id_of(self._number).encode("ascii"))

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)
