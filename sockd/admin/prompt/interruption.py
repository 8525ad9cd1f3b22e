"""The interruption of statements by a timeout or a signal.

Python runs signal handlers between two bytecodes of the main thread. So a handler can raise an
exception in the statement that the reactor runs: for SIGALRM (setitimer(2)) at the timeout, and for
SIGINT and the signals that shut the daemon down. A C function is not interrupted, unless it checks
for signals itself, as ``re`` and ``time.sleep`` do.

The exception is not an :class:`Exception`, as ``except OSError`` would catch a
:class:`TimeoutError`. ``finally`` and ``except`` clauses have :data:`AGAIN` seconds to clean up;
then they are interrupted as well. If the exception is swallowed, for example by a bare ``except:``
in a loop, it is raised again before the next line.

Only the statement and the libraries that it calls are interrupted, never the code of sockd or of
the reactor: that could leave a record half changed, or a packet half encrypted. If the timeout
expires there, the exception is raised before the next line of the statement.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from sockd.render.tables import seconds

if TYPE_CHECKING:
    from _typeshed import TraceFunction

SHELL = "<shell>"
"""The file name of code that is typed in the shell."""

AGAIN = 1.0
"""The interval between two interruptions of a statement, in seconds."""

_ENDING = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGBREAK")
_UNTOUCHED = ("sockd.", "twisted.internet.", "twisted.conch.", "twisted.logger.")
_INTERPRETER = "sockd.admin.prompt.interpreter"
_TOUCHED = (
    _INTERPRETER,
    *("twisted.internet.defer", "twisted.internet.task", "twisted.internet.threads"),
)

T = TypeVar("T")

Timer = Callable[[int, float, float], tuple[float, float]]
"""The type of ``signal.setitimer``."""

SYSTEM_TIMER: Timer | None = getattr(signal, "setitimer", None)


class Interruption(BaseException):
    """Ends a statement, which is reported as a :class:`TimeoutError` or :class:`KeyboardInterrupt`.

    :param dropped: called with the frame in which the last reference to the exception goes away.
    """

    def __init__(self, dropped: Callable[[FrameType | None], None]) -> None:
        super().__init__()
        self._dropped = dropped

    def __del__(self) -> None:
        """Report that the last reference to the exception was dropped."""
        self._dropped(sys._getframe().f_back)


class Interrupter:
    """Runs statements, one at a time.

    :param limit: the timeout of a statement, in seconds; 0: none.
    :param timer: sets the timer of the process; ``None``, as on Windows: no timeout.
    """

    def __init__(self, limit: float, timer: Timer | None = SYSTEM_TIMER) -> None:
        self._limit = limit if timer else 0.0
        self._timer = timer
        self._running: _Statement | None = None

    def run(self, work: Callable[[], T], tell: Callable[[str], object]) -> T:
        """Do some work that can be interrupted in the main thread only.

        If a statement runs the reactor, nested work belongs to that statement.

        :param tell: called with the reason of an interruption.
        :raise TimeoutError: if the timeout interrupted the work.
        :raise KeyboardInterrupt: if a signal interrupted the work.
        """
        if threading.current_thread() is not threading.main_thread():
            return work()
        if self._running is not None:
            return self._running.part(work, tell)
        self._running = _Statement(self._limit, self._timer)
        try:
            with self._running.watched():
                return self._running.outcome(work, tell)
        finally:
            self._running = None


class _Statement:
    """A running statement."""

    def __init__(self, limit: float, timer: Timer | None) -> None:
        self._limit = limit
        self._timer = timer
        self._base: FrameType | None = None
        self._cause: BaseException | None = None  # reported as the error of the statement
        self._is_interrupted = False
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._pending_sigint: Callable[[], object] | None = None

    def outcome(self, work: Callable[[], T], tell: Callable[[str], object]) -> T:
        """Return the result of some work, unless it is interrupted."""
        try:
            result = self._inside(work)
        except BaseException as error:
            if self._is_interrupted and not isinstance(error, SystemExit):
                raise self._reported(tell).with_traceback(error.__traceback__) from _other(error)
            raise
        if self._is_interrupted:
            raise self._reported(tell)
        return result

    def part(self, work: Callable[[], T], tell: Callable[[str], object]) -> T:
        """Return the result of nested work, unless it is interrupted."""
        try:
            return work()
        except Interruption as error:
            raise self._reported(tell).with_traceback(error.__traceback__) from None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let signals interrupt the context, and restore the handlers, timer and tracer after it.

        A SIGINT that has not interrupted the statement is passed to the previous handler.
        """
        tracer = sys.gettrace()
        try:
            with ExitStack() as stack:
                self._take_signals(stack)
                yield
        finally:
            if sys.gettrace() != tracer:
                sys.settrace(tracer)
            if self._pending_sigint is not None and not self._is_interrupted:
                self._pending_sigint()

    def _take_signals(self, stack: ExitStack) -> None:
        for name in _ENDING:
            number: int = getattr(signal, name, 0)
            handler = signal.getsignal(number) if number else None
            if callable(handler):
                self._handlers[number] = handler
                stack.callback(signal.signal, number, signal.signal(number, self._ends))
        if self._timer is not None:
            before = signal.signal(signal.SIGALRM, self._takes_too_long)
            stack.callback(signal.signal, signal.SIGALRM, before)
            previous = self._timer(signal.ITIMER_REAL, self._limit, AGAIN)
            stack.callback(self._timer, signal.ITIMER_REAL, *previous)

    def _inside(self, work: Callable[[], T]) -> T:
        """Do the work, with this frame as the base of the statement's stack."""
        self._base = sys._getframe()
        try:
            return work()
        finally:
            self._base = None

    def _takes_too_long(self, number: int, frame: FrameType | None) -> None:
        if self._cause is None:
            limit = f"{seconds(self._limit)}, the statement_timeout"
            self._cause = TimeoutError(f"the statement took longer than {limit}")
        self._interrupt(frame)

    def _ends(self, number: int, frame: FrameType | None) -> None:
        """Interrupt the statement; also begin the shutdown, unless this is the first SIGINT."""
        handler = self._handlers[number]
        if number == signal.SIGINT and self._pending_sigint is None:
            self._pending_sigint = partial(handler, number, None)
        else:
            handler(number, frame)
        if self._cause is None:
            self._cause = KeyboardInterrupt(signal.Signals(number).name)
        if self._timer is not None:
            self._timer(signal.ITIMER_REAL, AGAIN, AGAIN)
        self._interrupt(frame)

    def _interrupt(self, frame: FrameType | None) -> None:
        """Raise here if that is allowed, otherwise before the next line of the statement."""
        self._raise_in(frame)
        self._trace(frame)

    def _raise_in(self, frame: FrameType | None) -> None:
        if self._may_raise(frame):
            self._is_interrupted = True
            raise Interruption(self._was_dropped)

    def _was_dropped(self, frame: FrameType | None) -> None:
        """Raise again before the next line, unless the statement has ended."""
        if self._base is not None and threading.current_thread() is threading.main_thread():
            self._trace(frame)

    def _trace(self, frame: FrameType | None) -> None:
        """Trace the frames of the statement: they call :meth:`_at_event` at their next line."""
        while frame is not None and frame is not self._base:
            if not _is_untouched(frame):
                frame.f_trace = self._at_event
            frame = frame.f_back
        sys.settrace(self._at_event)

    def _at_event(self, frame: FrameType, event: str, _: object) -> TraceFunction | None:
        """Raise before a line or a call, if that is allowed. Python then ends the tracing.

        Calls of this module and of the interpreter are excluded: they show a result or drop an
        exception, and are not calls of the statement.
        """
        if event == "line":
            self._raise_in(frame)
        if event == "call" and _module(frame) not in (__name__, _INTERPRETER):
            self._raise_in(frame.f_back)
        return self._at_event if _is_typed(frame) else None

    def _may_raise(self, frame: FrameType | None) -> bool:
        """Return whether the innermost code of the shell or the daemon is the statement's."""
        is_inside = False
        while frame is not None and frame is not self._base:
            if _is_typed(frame) or _is_untouched(frame):
                return _is_typed(frame) and self._base is not None
            frame = frame.f_back
            is_inside = True
        return is_inside and frame is not None

    def _reported(self, tell: Callable[[str], object]) -> BaseException:
        """Return the exception that reports an interruption, and log the interruption."""
        cause = self._cause or KeyboardInterrupt()
        tell(f"{type(cause).__name__}: {cause}")
        return cause


def _other(error: BaseException) -> BaseException | None:
    """Return an exception that a statement raised instead of the interruption, or ``None``."""
    return None if isinstance(error, Interruption) else error


def _is_typed(frame: FrameType) -> bool:
    return frame.f_code.co_filename == SHELL


def _is_untouched(frame: FrameType) -> bool:
    """Return whether a frame belongs to the daemon."""
    name = _module(frame)
    is_daemons = f"{name}.".startswith(_UNTOUCHED) and name not in _TOUCHED
    return is_daemons and not _is_typed(frame)


def _module(frame: FrameType) -> object:
    return dict.get(frame.f_globals, "__name__")
