"""SIGHUP reloads, unless it says that the terminal is gone; then the daemon shuts down in order.

The kernel sends the signal when a terminal is closed: to the leader of its session, and to the
processes in its foreground. A shell that is told passes it on to its jobs. Everything else is a
request: from kill(1), from a supervisor, from a script. A process that has lost its terminal
long ago, as one that was disowned has, is asked to reload as well.

nohup(1) starts a program with SIGHUP ignored. Such a daemon stays when its terminal is closed, and
reloads when it is asked to.

sigwaitinfo(2) tells who has sent the signal. It waits in a thread, and the signal is blocked in all
of them from the first moment on, so one that comes before the reactor runs is kept. Child processes
inherit that. Where there is no sigwaitinfo, as on macOS, only the terminal is looked at.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Container
from dataclasses import dataclass
from threading import Thread
from types import FrameType

from sockd.reactor import IReactor
from sockd.support.logger import PartLogger

_NAME = "SIGHUP"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the signal comes from.

    :ivar is_kernel: whether the kernel sent it, which it does for a terminal alone.
    :ivar sender: the process that sent it.
    """

    is_kernel: bool
    sender: int


class Hangups:
    """What becomes of SIGHUP.

    :param has_terminal: tells whether the process has a terminal.
    :param shells: the processes that pass on the end of the terminal.
    :param reload: called in the reactor's thread when the daemon is asked to reload.
    :param end: called there in its place when the terminal is gone, perhaps more than once.
    """

    _log = PartLogger("sockd")

    def __init__(
        self,
        reactor: IReactor,
        has_terminal: Callable[[], bool],
        shells: Container[int],
        reload: Callable[[], object],
        end: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._has_terminal = has_terminal
        self._shells = shells
        self._reload = reload
        self._end = end
        self._had_terminal = False
        self._is_ignored = False

    def install(self) -> None:
        """Take the signal, in the main thread; where there is no such signal do nothing."""
        number = getattr(signal, _NAME, None)
        if number is None:
            return
        self._is_ignored = signal.getsignal(number) == signal.SIG_IGN
        signal.signal(number, self._handle)
        if sys.platform == "linux":
            signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        self._reactor.callWhenRunning(self._begin)
        self._reactor.addSystemEventTrigger(
            "after", "shutdown", signal.signal, number, signal.SIG_IGN
        )

    def follow(self, origin: Origin | None) -> None:
        """Do what the signal asks for.

        :param origin: ``None``: nobody knows.
        """
        if not self._is_of_terminal(origin):
            self._reload()
        elif self._is_ignored:
            self._log.info("The terminal is gone; sockd was started with nohup, and goes on")
        else:
            self._log.info("The terminal is gone")
            self._end()

    def _is_of_terminal(self, origin: Origin | None) -> bool:
        is_lost = self._had_terminal and not self._has_terminal()
        if origin is None:
            return is_lost and not self._is_ignored
        return origin.is_kernel or (is_lost and origin.sender in self._shells)

    def _begin(self) -> None:
        """Wait for the signal, now that there are no more processes to be forked off."""
        self._had_terminal = self._has_terminal()
        if sys.platform == "linux":
            Thread(target=self._wait, name=_NAME, daemon=True).start()

    def _wait(self) -> None:
        while True:
            told = signal.sigwaitinfo({signal.SIGHUP})
            origin = Origin(told.si_code > 0, told.si_pid)
            self._reactor.callFromThread(self.follow, origin)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Follow a signal that came where it was not blocked."""
        self._reactor.callFromThread(self.follow, None)


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal that is still there (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def shells() -> Container[int]:
    """Return the processes that may pass on to this one that their terminal is gone.

    The kernel tells the leader of a session itself.
    """
    if os.name != "posix" or os.getsid(0) == os.getpid():
        return ()
    return os.getsid(0), os.getppid()
