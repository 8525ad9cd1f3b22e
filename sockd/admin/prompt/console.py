"""The output of commands, their errors and their pending work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

from sockd.admin.prompt.screen import Screen

T = TypeVar("T")
Writer = Callable[[str], None]


class Console:
    """The output of a session.

    :param out: writes output.
    :param err: writes error messages.
    :param screen: shows live views; ``None`` if they are not available.
    :ivar failed: whether there was an error. It determines the exit status of a command.
    """

    def __init__(self, out: Writer, err: Writer, screen: Screen | None = None) -> None:
        self.out = out
        self.err = err
        self.screen = screen
        self.failed = False
        self._pending = 0
        self._waiters: list[Deferred[None]] = []

    def say(self, text: str) -> None:
        """Write one or more lines."""
        self.out(text + "\n")

    def complain(self, text: str) -> None:
        """Write an error message."""
        self.failed = True
        self.err(text + "\n")

    def follow(self, work: Deferred[T]) -> None:
        """Keep the session of a single command open until some work is done."""
        self._pending += 1
        work.addBoth(self._done)

    def idle(self) -> Deferred[None]:
        """Return a Deferred that fires when no work is pending."""
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
