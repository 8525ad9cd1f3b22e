"""One reader of the events: how far it is, and whether it keeps up."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred

from sockd.ledger import Clock
from sockd.web.answers import encoded
from sockd.web.frames import HEARTBEAT, frame
from sockd.web.news import News
from sockd.web.totals import Totals

SILENCE = 15.0
"""After how many seconds without anything to say a heartbeat is sent."""

PATIENCE = 10.0
"""How long a reader may leave what is sent to it, in seconds."""


class EventReader:
    """Sends one piece at a time, and the next when that is taken and there is more.

    :param clock: returns the time in seconds since the epoch.
    :ivar is_slow: whether it has left what was sent to it for too long.
    """

    def __init__(self, news: News, totals: Totals, clock: Clock) -> None:
        self._news = news
        self._totals = totals
        self._number = 0
        self._clock = clock
        self._totals_told = 0
        self._sent_at = clock()
        self._more: Deferred[None] | None = None
        self._is_over = False
        self.is_slow = False

    def slices(self, greeting: bytes, number: int) -> Iterator[bytes | Deferred[None]]:
        """Return what there is to say, and in between what fires when there is more.

        :param number: the event behind which it begins.
        """
        self._number = number
        yield greeting
        while not self._is_over:
            self._more = Deferred()
            yield self._more
            yield self._piece()
        if self.is_slow:
            yield self._frame("dropped", encoded({"reason": "slow"}))
            return
        while self._number < self._news.front:
            yield self._piece()

    def tick(self) -> None:
        """Go on if there is something to say; give up if what was said is not taken."""
        silence = self._clock() - self._sent_at
        if self._more is None:
            if silence >= PATIENCE:
                self._is_over = self.is_slow = True
        elif self._has_news or silence >= SILENCE:
            self._wake()

    def end(self) -> None:
        """Say what there is, and then nothing more."""
        self._is_over = True
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
