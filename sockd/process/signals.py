"""The action of each signal (signal(7)), as one table.

No signal that can be caught ends the daemon without the drain. Signals for program errors are an
exception: they keep their default action, a core dump.

A signal that arrives before the reactor runs is handled once it runs: by then ports are bound and
the pidfile is written. Signals after the shutdown are ignored.

Twisted's own handlers also stop the reactor, but make ``twistd`` die of the signal afterwards, and
log a traceback for a second Ctrl-C.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import FrameType

from sockd.reactor import IReactor
from sockd.support.logger import PartLogger


class Action(Enum):
    """The action for a signal."""

    SHUT_DOWN = "shut down with the drain; a second one ends the drain"
    RELOAD = "reload"
    REOPEN = "reopen the log file"
    IGNORE = "ignored, and logged"
    DEFAULT = "a program error: the system's default, a core dump"


ACTIONS: Mapping[str, Action] = {
    **dict.fromkeys(
        ("SIGTERM", "SIGINT", "SIGBREAK", "SIGQUIT", "SIGPWR", "SIGXCPU"), Action.SHUT_DOWN
    ),
    "SIGHUP": Action.RELOAD,
    "SIGUSR1": Action.REOPEN,
    **dict.fromkeys(
        (
            *("SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPIPE", "SIGXFSZ"),
            *("SIGSTKFLT", "SIGTRAP", "SIGEMT", "SIGLOST"),
        ),
        Action.IGNORE,
    ),
    **dict.fromkeys(("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS"), Action.DEFAULT),
}
"""The action for each signal, by name; not every system has all. Real-time signals are ignored."""


class Signals:
    """Handles the signals of this process in the reactor's thread.

    :param actions: the function for each action; it is called with the name of the signal.
    """

    _log = PartLogger("sockd")

    def __init__(
        self, reactor: IReactor, actions: Mapping[Action, Callable[[str], object]]
    ) -> None:
        self._reactor = reactor
        self._actions = {Action.IGNORE: self._ignored, **actions}
        self._handled = {
            number: (name, action) for number, name, action in _signals() if action in self._actions
        }

    def install(self) -> None:
        """Install the handlers, in the main thread."""
        for number, (_, action) in self._handled.items():
            # Python itself ignores SIGPIPE and SIGXFSZ: the write fails with an error instead.
            if action is not Action.IGNORE or signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._handle)
        # Twisted installs its handlers for SIGTERM and SIGBREAK when the reactor starts.
        self._reactor.addSystemEventTrigger("during", "startup", self._reinstall)
        # While the interpreter exits, it restores the default actions, which would kill it.
        self._reactor.addSystemEventTrigger("after", "shutdown", self._ignore_all)

    def _reinstall(self) -> None:
        for number, (_, action) in self._handled.items():
            if action is Action.SHUT_DOWN:
                signal.signal(number, self._handle)

    def _ignore_all(self) -> None:
        for number in self._handled:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name, action = self._handled[number]
        self._reactor.callFromThread(self._actions[action], name)

    def _ignored(self, name: str) -> None:
        self._log.info("{signal} was ignored", signal=name)


class Shutdown:
    """Begins the shutdown at the first signal, and ends the drain at any later one.

    :param first: begins the shutdown; not called if the shutdown has already begun.
    :param second: ends the drain.
    """

    _log = PartLogger("sockd")

    def __init__(
        self, reactor: IReactor, first: Callable[[], object], second: Callable[[], object]
    ) -> None:
        self._calls = iter([first])
        self._second = second
        reactor.addSystemEventTrigger("before", "shutdown", next, self._calls, None)

    def __call__(self, name: str) -> None:
        """Handle a signal.

        :param name: its name.
        """
        self._log.info("Received {signal}", signal=name)
        next(self._calls, self._second)()

    def begin(self) -> None:
        """Begin the shutdown, unless it has begun."""
        next(self._calls, tuple)()


def _signals() -> Iterator[tuple[int, str, Action]]:
    """Return the number, name and action of each signal that this system has."""
    for name, action in ACTIONS.items():
        number = getattr(signal, name, None)
        if number is not None:
            yield number, name, action
    first, last = getattr(signal, "SIGRTMIN", 1), getattr(signal, "SIGRTMAX", 0)
    for number in range(first, last + 1):
        yield number, f"SIGRTMIN+{number - first}", Action.IGNORE
