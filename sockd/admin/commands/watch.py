"""The events as they happen, one line each, until a key is pressed."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from sockd.admin.prompt.screen import Screen
from sockd.log.messages import sentence_of
from sockd.model.events import Event
from sockd.model.ledger import Ledger
from sockd.support.text import rfc3339

LINES_PER_SECOND = 50
"""The maximum number of events that are shown per second; the others are counted."""

_SECOND = 1.0


class Watch:
    """The view of ``watch()``.

    Events above the rate limit, or while the client reads too slowly, are only counted.
    """

    def __init__(self, ledger: Ledger, screen: Screen) -> None:
        self._ledger = ledger
        self._screen = screen
        self._unsubscribe: Callable[[], None] | None = None
        self._timer: IDelayedCall | None = None
        self._left = LINES_PER_SECOND
        self._missed = 0

    def begin(self) -> None:
        """Subscribe to the events."""
        if self._screen.size is not None:
            self._screen.write("events as they happen; any key ends this\n")
        self._unsubscribe = self._ledger.subscribe(self._show)
        self._timer = self._screen.clock.callLater(_SECOND, self._tick)

    def resized(self) -> None:
        """Do nothing: lines are not redrawn."""

    def end(self) -> None:
        """Unsubscribe."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._show_missed()

    def _show(self, event: Event) -> None:
        if not self._left or self._missed or self._screen.is_congested():
            self._missed += 1
            return
        self._left -= 1
        time = rfc3339(event.time)[len("YYYY-MM-DDT") : -len("000Z")]
        self._screen.write(f"{time}Z {sentence_of(event)}\n")

    def _tick(self) -> None:
        self._timer = self._screen.clock.callLater(_SECOND, self._tick)
        self._left = LINES_PER_SECOND
        self._show_missed()

    def _show_missed(self) -> None:
        if self._missed and not self._screen.is_congested():
            self._screen.write(f"… and {self._missed:,} more\n")
            self._missed = 0
