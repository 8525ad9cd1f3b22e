"""The Python interpreter of a session, with its own namespace and standard streams.

Code cannot use the daemon's standard streams: its output goes to the session, its input is at end
of file, and ``exit()`` ends the session.
"""

from __future__ import annotations

import ast
import codeop
import io
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType
from typing import NoReturn, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd.admin.prompt import interruption
from sockd.admin.prompt.console import Console, Writer
from sockd.admin.prompt.interruption import SHELL, Interrupter
from sockd.admin.prompt.script import ParseBudget

LONGEST_OUTPUT = 16 * 1024 * 1024
"""The maximum output of a statement, in characters: nothing is sent before the statement ends."""

_FORMAT_TIMEOUT = "the error cannot be displayed: formatting it took too long"

D = TypeVar("D")
T = TypeVar("T")


class SessionEnd:
    """The ``exit`` and ``quit`` of a session."""

    def __repr__(self) -> str:
        """Return a hint for a user who omits the parentheses."""
        return "exit() or Ctrl-D ends the session; the daemon keeps running"

    def __call__(self, code: object = None) -> NoReturn:
        """End the session."""
        raise SystemExit(code)


class Interpreter:
    """Runs the Python code of one session.

    :param namespace: the initial names; ``exit`` and ``quit`` are added.
    :param interrupter: enforces the timeout of statements; ``None``: no timeout.
    :param tell: called with the reason when a statement is interrupted.
    """

    def __init__(
        self,
        namespace: dict[str, object],
        console: Console,
        interrupter: Interrupter | None = None,
        tell: Callable[[str], object] = str,
    ) -> None:
        leave = SessionEnd()
        self._namespace = {"__name__": "__console__", **namespace, "exit": leave, "quit": leave}
        self._console = console
        self._interrupter = interrupter or Interrupter(0.0)
        self._tell = tell
        self._room = LONGEST_OUTPUT
        self._compile = codeop.CommandCompiler()
        self._budget = ParseBudget()
        self._deferreds = 0

    def enter(self, source: str) -> bool:
        """Run source as a prompt does; return whether it is incomplete.

        :raise SystemExit: if it ends the session.
        """
        before, _, last = source.rpartition("\n")
        if not before:
            self._budget = ParseBudget()
        if last.strip() and not self._budget.allows(len(source)):
            return True  # it is parsed at the next empty line
        try:
            code = self._compile(source, SHELL, "single")
        except (SyntaxError, ValueError, OverflowError) as error:
            self._complain_of(error)
            return False
        if code is not None:
            self._run(code)
        return code is None

    def run(self, source: str) -> bool:
        """Run complete statements up to the first error, and show the values of expressions.

        :return: whether all of them succeeded.
        :raise SystemExit: if one ends the session.
        """
        try:
            tree = ast.parse(source, SHELL)
            codes = [compile(ast.Interactive([node]), SHELL, "single") for node in tree.body]
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._complain_of(error)
            return False
        return all(map(self._run, codes))

    def _run(self, code: CodeType) -> bool:
        self._room = LONGEST_OUTPUT
        try:
            with self._streams():
                self._limited(partial(exec, code, self._namespace))
        except SystemExit as leave:
            raise SystemExit(self._or_else(partial(_exit_status, leave.code), 1)) from None
        except BaseException as error:
            self._complain_of(error)
            return False
        return True

    def _limited(self, work: Callable[[], T]) -> T:
        """Do some work that may run code of the session, with the timeout of a statement."""
        return self._interrupter.run(work, self._tell)

    def _or_else(self, work: Callable[[], T], default: D) -> T | D:
        """Return the result of some work, or a default if it fails or times out."""
        try:
            return self._limited(work)
        except BaseException:
            return default

    @contextmanager
    def _streams(self) -> Iterator[None]:
        """Redirect the standard streams of the process to the session."""
        kept = sys.stdin, sys.stdout, sys.stderr, sys.displayhook
        sys.stdin = io.StringIO()
        sys.stdout = _Stream(partial(self._print, self._console.out))
        sys.stderr = _Stream(partial(self._print, self._console.err))
        sys.displayhook = self._display
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr, sys.displayhook = kept

    def _print(self, write: Writer, text: str) -> None:
        """Write text up to the limit of the output."""
        if self._room < 0:
            return
        room = self._room
        self._room -= len(text)
        write(text[:room])
        if self._room < 0:
            self._console.complain(f"\noutput truncated after {LONGEST_OUTPUT} characters")

    def _complain_of(self, error: BaseException) -> None:
        """Show the traceback of an error."""
        text = self._or_else(partial(_traceback, error), _FORMAT_TIMEOUT)
        self._console.complain(text[:LONGEST_OUTPUT])

    def _display(self, value: object) -> None:
        if value is None:
            return
        self._namespace["_"] = value
        if isinstance(value, Deferred) and not value.called:
            self._watch(value)
        else:
            self._print(self._console.out, f"{value!r}\n")

    def _watch(self, deferred: Deferred[object]) -> None:
        """Show a number for a Deferred, and its result when it fires."""
        name = f"Deferred #{self._deferreds}"
        self._deferreds += 1

        def fired(result: object) -> object:
            is_failure = isinstance(result, Failure)
            show = self._console.complain if is_failure else self._console.say
            text = self._or_else(partial(_result, result), "with a value that cannot be displayed")
            show(f"{name} {text}"[:LONGEST_OUTPUT])
            return result

        self._console.say(f"<{name}>")
        deferred.addBoth(fired)
        self._console.follow(deferred)


class _Stream(io.TextIOBase):
    """A standard stream of a session."""

    encoding = "utf-8"

    def __init__(self, write: Writer) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._write(text)
        return len(text)


def _exit_status(code: object) -> str | int:
    """Return the code of a :class:`SystemExit` as an integer or a string."""
    if code is None or isinstance(code, int):
        return int(code or 0)
    return str(code)


def _traceback(error: BaseException) -> str:
    """Return the traceback of an error, without the frames that ran the statement."""
    own = {__file__, interruption.__file__, ast.__file__, codeop.__file__}
    shown = traceback.TracebackException(type(error), error, error.__traceback__)
    shown.stack = traceback.StackSummary.from_list(
        [frame for frame in shown.stack if frame.filename not in own]
    )
    return "".join(shown.format()).rstrip("\n")


def _result(result: object) -> str:
    """Return the result of a Deferred as text."""
    if isinstance(result, Failure):
        return f"failed: {result.getErrorMessage()}"
    return f"fired: {result!r}"
