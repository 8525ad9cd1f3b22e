"""What a live view draws on: one view at a time, until a key is pressed or the session ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

ENTER = "\x1b[?1049h\x1b[?7l\x1b[?25l"
"""Another screen, where long lines are cut and no cursor is seen."""

LEAVE = "\x1b[?25h\x1b[?7h\x1b[?1049l"
"""Back to the screen as it was."""

_MOST_COLUMNS = 500
_MOST_LINES = 200


class View(Protocol):
    """Something that changes while a person looks at it."""

    def begin(self) -> None:
        """Draw for the first time, and go on with that."""

    def resized(self) -> None:
        """Take note that the window has another size."""

    def end(self) -> None:
        """Leave the terminal as it was, and let go of everything."""


class Screen:
    """The output of one session as a live view sees it.

    :param write: sends text; it does nothing once there is nobody to read it.
    :param is_congested: whether the person's terminal does not keep up.
    :ivar size: columns and lines; ``None`` where there is no terminal.
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
        """Take note of the size of the window, whatever the client calls one."""
        self.size = max(1, min(columns, _MOST_COLUMNS)), max(1, min(lines, _MOST_LINES))
        if self._view is not None:
            self._view.resized()

    def show(self, view: View) -> Deferred[None]:
        """Show a view in place of the one that is shown; return what fires at its end."""
        self.end()
        if not self._is_closed:
            self._view = view
            self._ended = Deferred()
            view.begin()
        return self.ended()

    def ended(self) -> Deferred[None]:
        """Return what fires when nothing is shown any more."""
        waiter: Deferred[None] = Deferred()
        self._ended.addCallback(lambda _: waiter.callback(None))
        return waiter

    def key(self) -> bool:
        """Take a key; return whether it was for the view, which it ends."""
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
        """End the view, and show none any more: the session is over."""
        self._is_closed = True
        self.end()
