"""SIGHUP has the daemon read its configuration again, from the first moment of the process on.

By default the signal kills (signal(7)). One that comes before the reactor runs is kept until then.
A terminal that goes away sends the same signal: a daemon in the foreground of one that is gone
ends in order, as it would without this module, and leaves no port behind.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

from sockd.reactor import IReactor

_NAME = "SIGHUP"


class Hangups:
    """What becomes of SIGHUP.

    :param has_terminal: tells whether the process has a terminal.
    """

    def __init__(self, has_terminal: Callable[[], bool]) -> None:
        self._has_terminal = has_terminal
        self._was_there = False
        self._is_due = False
        self._reactor: IReactor | None = None
        self._reload: Callable[[], object] = tuple
        self._end: Callable[[], object] = tuple

    def install(self) -> None:
        """Take the signal, in the main thread; where there is no such signal do nothing."""
        _handle(self._note)

    def begin(
        self, reactor: IReactor, reload: Callable[[], object], end: Callable[[], object]
    ) -> None:
        """Follow the signals from now on; call it once the reactor runs.

        :param reload: called in the reactor's thread, at once if a signal has come already.
        :param end: called there in its place, once, when the terminal of the process is gone.
        """
        self._reactor, self._reload, self._end = reactor, reload, end
        self._was_there = self._has_terminal()
        reactor.addSystemEventTrigger("after", "shutdown", _handle, signal.SIG_IGN)
        if self._is_due:
            self._reload()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_due = True
        if self._reactor is not None:
            self._reactor.callFromThread(self._follow)

    def _follow(self) -> None:
        if not self._was_there or self._has_terminal():
            self._reload()
            return
        end, self._end = self._end, tuple  # the kernel and the shell both tell
        end()


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal that is still there (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    number = getattr(signal, _NAME, None)
    if number is not None:
        signal.signal(number, handler)
