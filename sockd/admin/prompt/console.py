"""What a session says and how it fares: the one thing that the commands know of their user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

from sockd.admin.prompt.screen import Screen

T = TypeVar("T")
Writer = Callable[[str], None]


class Console:
    """The output of a session.

    :param out: writes what was asked for.
    :param err: writes complaints.
    :param screen: where live views are shown; ``None`` where there can be none.
    :ivar failed: whether anything went wrong; the exit status of a command tells it.
    """

    def __init__(self, out: Writer, err: Writer, screen: Screen | None = None) -> None:
        self.out = out
        self.err = err
        self.screen = screen
        self.failed = False
        self._pending = 0
        self._waiters: list[Deferred[None]] = []

    def say(self, text: str) -> None:
        """Write a line, or several."""
        self.out(text + "\n")

    def complain(self, text: str) -> None:
        """Write what is wrong."""
        self.failed = True
        self.err(text + "\n")

    def follow(self, work: Deferred[T]) -> None:
        """Keep a session that runs one command open until some work is done."""
        self._pending += 1
        work.addBoth(self._done)

    def idle(self) -> Deferred[None]:
        """Return what fires when there is no more work to follow."""
        if not self._pending:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def _done(self, result: T) -> T:
        self._pending -= 1
        if not self._pending:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)
        return result
