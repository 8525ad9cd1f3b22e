"""The screen of live views: one at a time, until a key is pressed or the session ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

ENTER = "\x1b[?1049h\x1b[?7l\x1b[?25l"
"""Switches to the alternate screen, without line wrapping and cursor."""

LEAVE = "\x1b[?25h\x1b[?7h\x1b[?1049l"
"""Switches back to the main screen."""

_MAX_COLUMNS = 500
_MAX_LINES = 200


class View(Protocol):
    """A live view, such as ``top()``."""

    def begin(self) -> None:
        """Draw, and start the updates."""

    def resized(self) -> None:
        """Handle a new window size."""

    def end(self) -> None:
        """Stop the updates, and restore the terminal."""


class Screen:
    """The output of one session for live views.

    :param write: sends text; does nothing after the end of the session.
    :param is_congested: returns whether the client reads too slowly.
    :ivar size: columns and lines; ``None`` without a terminal.
    """

    def __init__(
        self,
        clock: IReactorTime,
        write: Callable[[str], None],
        is_congested: Callable[[], bool],
    ) -> None:
        self.clock = clock
        self.write = write
        self.is_congested = is_congested
        self.size: tuple[int, int] | None = None
        self._view: View | None = None
        self._ended: Deferred[None] = succeed(None)
        self._is_closed = False

    @property
    def is_taken(self) -> bool:
        """Whether a view is shown."""
        return self._view is not None

    def resize(self, columns: int, lines: int) -> None:
        """Set the window size. A client may send any numbers, so they are limited."""
        self.size = max(1, min(columns, _MAX_COLUMNS)), max(1, min(lines, _MAX_LINES))
        if self._view is not None:
            self._view.resized()

    def show(self, view: View) -> Deferred[None]:
        """Replace the current view. Return a Deferred that fires when the new view ends."""
        self.end()
        if not self._is_closed:
            self._view = view
            self._ended = Deferred()
            view.begin()
        return self.ended()

    def ended(self) -> Deferred[None]:
        """Return a Deferred that fires when no view is shown."""
        waiter: Deferred[None] = Deferred()
        self._ended.addCallback(lambda _: waiter.callback(None))
        return waiter

    def key(self) -> bool:
        """Handle a key: it ends the view. Return whether there was a view."""
        is_taken = self.is_taken
        self.end()
        return is_taken

    def end(self) -> None:
        """End the view, if one is shown."""
        view, self._view = self._view, None
        if view is not None:
            view.end()
            self._ended.callback(None)

    def close(self) -> None:
        """End the view, and show no others: the session has ended."""
        self._is_closed = True
        self.end()
