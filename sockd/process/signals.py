"""SIGTERM and Ctrl-C end the daemon in order, and with exit status 0.

Twisted's own handlers stop the reactor too, but make ``twistd`` die of the signal afterwards,
and answer a second Ctrl-C with a traceback. Here the first signal begins the shutdown and
the second ends the draining, as the first does where something else has begun it. One that comes
when all is closed changes nothing any more.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from sockd.reactor import IReactor


def end_on_signals(
    reactor: IReactor, first: Callable[[], None], second: Callable[[], None]
) -> None:
    """Install the handlers; call it once the reactor runs, in the main thread.

    :param first: called in the reactor's thread at the first signal, unless it stops already.
    :param second: called there at every other one.
    """
    calls = iter([first])

    def handle(number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(lambda: next(calls, second)())

    def begun() -> None:
        next(calls, None)

    _set_handlers(handle)
    reactor.addSystemEventTrigger("before", "shutdown", begun)
    # While the interpreter takes itself down, a handler of ours would be one that kills.
    reactor.addSystemEventTrigger("after", "shutdown", _set_handlers, signal.SIG_IGN)


def _set_handlers(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
