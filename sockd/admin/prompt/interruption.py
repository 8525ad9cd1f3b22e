"""Interrupts a statement that runs too long, or that a signal is meant to end.

Python runs a signal handler between two bytecodes of the main thread, so a handler can raise in the
statement that the reactor runs: SIGALRM (setitimer(2)) does at the time limit, SIGINT and the
signals that shut down do when they come. One call of a function in C is not interrupted, unless it
looks for signals itself, as ``re`` and ``time.sleep`` do.

What is raised is not an :class:`Exception`: ``except OSError`` would catch a :class:`TimeoutError`.
``finally`` and ``except`` clauses have :data:`AGAIN` seconds to clean up; then they are interrupted
as well. Where the exception is swallowed, for example by a bare ``except:`` in a loop, it is raised
again before the next line.

Only the statement and the libraries that it calls are interrupted, never the code of sockd or of
the reactor: a record could stay half changed, or a packet half encrypted. If the limit passes
there, the exception is raised before the first line of the statement that runs afterwards.
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
"""The file name of the code that people type."""

AGAIN = 1.0
"""How long after an interruption the next one comes, in seconds."""

_ENDING = ("SIGINT", "SIGTERM", "SIGQUIT", "SIGBREAK")
_UNTOUCHED = ("sockd.", "twisted.internet.", "twisted.conch.", "twisted.logger.")
_INTERPRETER = "sockd.admin.prompt.interpreter"
_TOUCHED = (
    _INTERPRETER,
    *("twisted.internet.defer", "twisted.internet.task", "twisted.internet.threads"),
)

T = TypeVar("T")

Timer = Callable[[int, float, float], tuple[float, float]]
"""Is ``signal.setitimer``."""

SYSTEM_TIMER: Timer | None = getattr(signal, "setitimer", None)


class Interruption(BaseException):
    """Ends a statement, which is reported as a :class:`TimeoutError` or :class:`KeyboardInterrupt`.

    :param dropped: called with the frame in which the last reference to the exception goes away.
    """

    def __init__(self, dropped: Callable[[FrameType | None], None]) -> None:
        super().__init__()
        self._dropped = dropped

    def __del__(self) -> None:
        """Tell that nobody handles this exception any more."""
        self._dropped(sys._getframe().f_back)


class Interrupter:
    """Runs statements, one at a time.

    :param limit: how long one may take, in seconds; 0: as long as it likes.
    :param timer: sets the timer of the process; ``None``, as on Windows: there is no limit.
    """

    def __init__(self, limit: float, timer: Timer | None = SYSTEM_TIMER) -> None:
        self._limit = limit if timer else 0.0
        self._timer = timer
        self._running: _Statement | None = None

    def run(self, work: Callable[[], T], tell: Callable[[str], object]) -> T:
        """Do some work in the main thread; in another one nothing interrupts it.

        Work that a statement has the reactor do meanwhile is a part of that statement.

        :param tell: is told why the work was interrupted.
        :raise TimeoutError: if it was interrupted at the limit.
        :raise KeyboardInterrupt: if it was interrupted by a signal.
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
    """A statement that runs.

    :ivar cause: what the statement is reported to have failed with; ``None`` while it may run.
    """

    def __init__(self, limit: float, timer: Timer | None) -> None:
        self._limit = limit
        self._timer = timer
        self._base: FrameType | None = None
        self._cause: BaseException | None = None
        self._is_interrupted = False
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._unheard: Callable[[], object] | None = None

    def outcome(self, work: Callable[[], T], tell: Callable[[str], object]) -> T:
        """Return what some work returns, unless it is interrupted."""
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
        """Return what some work within the statement returns, unless it is interrupted."""
        try:
            return work()
        except Interruption as error:
            raise self._reported(tell).with_traceback(error.__traceback__) from None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have the signals interrupt what runs inside; leave everything as it was before."""
        tracer = sys.gettrace()
        try:
            with ExitStack() as stack:
                self._take_signals(stack)
                yield
        finally:
            if sys.gettrace() != tracer:
                sys.settrace(tracer)
            if self._unheard is not None and not self._is_interrupted:
                self._unheard()

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
        """Do the work, with this frame as the mark of where it begins."""
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
        """Interrupt; leave the first SIGINT at that, and begin the shutdown at any other signal."""
        handler = self._handlers[number]
        if number == signal.SIGINT and self._unheard is None:
            self._unheard = partial(handler, number, None)
        else:
            handler(number, frame)
        if self._cause is None:
            self._cause = KeyboardInterrupt(signal.Signals(number).name)
        if self._timer is not None:
            self._timer(signal.ITIMER_REAL, AGAIN, AGAIN)
        self._interrupt(frame)

    def _interrupt(self, frame: FrameType | None) -> None:
        """Raise here, or before the next line of the statement if it may not be here."""
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
        """Have the frames of the statement call :meth:`_at_event` at their next line."""
        while frame is not None and frame is not self._base:
            if not _is_untouched(frame):
                frame.f_trace = self._at_event
            frame = frame.f_back
        sys.settrace(self._at_event)

    def _at_event(self, frame: FrameType, event: str, _: object) -> TraceFunction | None:
        """Raise before a line or a call, if that is allowed; Python ends the tracing with it.

        Showing a result, and dropping an exception, are not calls that the statement makes.
        """
        if event == "line":
            self._raise_in(frame)
        if event == "call" and _module(frame) not in (__name__, _INTERPRETER):
            self._raise_in(frame.f_back)
        return self._at_event if _is_typed(frame) else None

    def _may_raise(self, frame: FrameType | None) -> bool:
        """Return whether what runs belongs to the statement more closely than to the daemon."""
        is_inside = False
        while frame is not None and frame is not self._base:
            if _is_typed(frame) or _is_untouched(frame):
                return _is_typed(frame) and self._base is not None
            frame = frame.f_back
            is_inside = True
        return is_inside and frame is not None

    def _reported(self, tell: Callable[[str], object]) -> BaseException:
        """Return what to raise for an interruption, and tell that there was one."""
        cause = self._cause or KeyboardInterrupt()
        tell(f"{type(cause).__name__}: {cause}")
        return cause


def _other(error: BaseException) -> BaseException | None:
    """Return what a statement raised in place of the interruption."""
    return None if isinstance(error, Interruption) else error


def _is_typed(frame: FrameType) -> bool:
    return frame.f_code.co_filename == SHELL


def _is_untouched(frame: FrameType) -> bool:
    """Return whether a frame is one of the daemon's own."""
    name = _module(frame)
    is_daemons = f"{name}.".startswith(_UNTOUCHED) and name not in _TOUCHED
    return is_daemons and not _is_typed(frame)


def _module(frame: FrameType) -> object:
    return dict.get(frame.f_globals, "__name__")
