"""What each signal does to the daemon: signal(7), as one table.

Nothing that can be caught ends the daemon without the drain. The exceptions are the signals of a
program error, which keep their default: a core dump of the moment.

A signal that comes before the reactor runs waits for it: ports are bound by then, and a pidfile
is written. One that comes after the shutdown is ignored.

Twisted's own handlers also stop the reactor, but make ``twistd`` die of the signal afterwards, and
answer a second Ctrl-C with a traceback.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import FrameType

from sockd.reactor import IReactor
from sockd.support.logger import PartLogger


class Action(Enum):
    """What the daemon does when a signal comes."""

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
"""By the name of the signal; systems do not have all of them. Real-time signals are ignored."""


class Signals:
    """Has the reactor do what the signals of this process ask for.

    :param actions: what is called in the reactor's thread, with the name of the signal.
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
        """Take the signals, in the main thread."""
        for number, (_, action) in self._handled.items():
            # Python itself ignores SIGPIPE and SIGXFSZ: the write fails in their place.
            if action is not Action.IGNORE or signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._handle)
        # Twisted takes SIGTERM and SIGBREAK when the reactor starts.
        self._reactor.addSystemEventTrigger("during", "startup", self._take_back)
        # While the interpreter takes itself down, a handler of ours would be one that kills.
        self._reactor.addSystemEventTrigger("after", "shutdown", self._ignore_all)

    def _take_back(self) -> None:
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
    """Begins the shutdown at the first signal, and ends the drain at any other one.

    :param first: called unless something else has begun the shutdown.
    """

    _log = PartLogger("sockd")

    def __init__(
        self, reactor: IReactor, first: Callable[[], object], second: Callable[[], object]
    ) -> None:
        self._calls = iter([first])
        self._second = second
        reactor.addSystemEventTrigger("before", "shutdown", next, self._calls, None)

    def __call__(self, name: str) -> None:
        """Follow a signal."""
        self._log.info("Received {signal}", signal=name)
        next(self._calls, self._second)()

    def begin(self) -> None:
        """Begin the shutdown, unless it has begun."""
        next(self._calls, tuple)()


def _signals() -> Iterator[tuple[int, str, Action]]:
    """Return the signals that this system has, by number and name."""
    for name, action in ACTIONS.items():
        number = getattr(signal, name, None)
        if number is not None:
            yield number, name, action
    first, last = getattr(signal, "SIGRTMIN", 1), getattr(signal, "SIGRTMAX", 0)
    for number in range(first, last + 1):
        yield number, f"SIGRTMIN+{number - first}", Action.IGNORE
