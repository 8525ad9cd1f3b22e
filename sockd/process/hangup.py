"""SIGHUP: reload the configuration, or shut down if the signal means that the terminal is gone.

When a terminal is closed, the kernel sends SIGHUP to the leader of its session and to the processes
in its foreground. A shell that receives it passes it on to its jobs. Every other SIGHUP is a
request to reload: from kill(1), a supervisor or a script. A process that lost its terminal earlier,
for example because it was disowned, also reloads.

nohup(1) starts a program with SIGHUP ignored. Such a daemon keeps running when its terminal is
closed, and reloads on request.

sigwaitinfo(2) reports the sender. It waits in a thread. The signal is blocked in all threads from
the beginning, so one that arrives before the reactor runs is kept; child processes inherit the
mask. On systems without sigwaitinfo, such as macOS, only the state of the terminal decides.
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
    """The source of a SIGHUP.

    :ivar is_kernel: whether the kernel sent it, which it does only for a terminal.
    :ivar sender: the process that sent it.
    """

    is_kernel: bool
    sender: int


class Hangups:
    """Handles SIGHUP.

    :param has_terminal: returns whether the process has a terminal.
    :param shells: the processes that pass on SIGHUP when the terminal is closed.
    :param reload: called in the reactor's thread to reload the configuration.
    :param end: called in the reactor's thread when the terminal is gone, perhaps more than once.
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
        """Install the handler, in the main thread; do nothing on systems without SIGHUP."""
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
        """Handle one signal.

        :param origin: its source; ``None`` if the system does not report it.
        """
        if not self._is_of_terminal(origin):
            self._reload()
        elif self._is_ignored:
            self._log.info("The terminal is gone; sockd was started with nohup and keeps running")
        else:
            self._log.info("The terminal is gone")
            self._end()

    def _is_of_terminal(self, origin: Origin | None) -> bool:
        is_lost = self._had_terminal and not self._has_terminal()
        if origin is None:
            return is_lost and not self._is_ignored
        return origin.is_kernel or (is_lost and origin.sender in self._shells)

    def _begin(self) -> None:
        """Start to wait for the signal, once no more processes will be forked."""
        self._had_terminal = self._has_terminal()
        if sys.platform == "linux":
            Thread(target=self._wait, name=_NAME, daemon=True).start()

    def _wait(self) -> None:
        while True:
            info = signal.sigwaitinfo({signal.SIGHUP})
            origin = Origin(info.si_code > 0, info.si_pid)
            self._reactor.callFromThread(self.follow, origin)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal that was delivered because it was not blocked."""
        self._reactor.callFromThread(self.follow, None)


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal that is still there (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def shells() -> Container[int]:
    """Return the processes that may pass on SIGHUP to this one when the terminal is closed.

    The kernel signals the leader of a session itself.
    """
    if os.name != "posix" or os.getsid(0) == os.getpid():
        return ()
    return os.getsid(0), os.getppid()
