"""Runs Python for a session: in its own namespace, with output, input and errors of its own.

The daemon's standard streams are never in reach of what is run: its output goes to the session,
its input is at an end, and ``exit()`` ends the session.
"""

from __future__ import annotations

import ast
import io
import sys
import traceback
from codeop import CommandCompiler
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import NoReturn

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd.admin.console import Console, Writer

_FILE = "<shell>"


class Leave:
    """The ``exit`` and ``quit`` of a session."""

    def __repr__(self) -> str:
        """Return what a person sees who forgets the parentheses."""
        return "exit() or Ctrl-D ends the session; the daemon goes on"

    def __call__(self, code: object = None) -> NoReturn:
        """End the session."""
        raise SystemExit(code)


class Interpreter:
    """Runs what one session types.

    :param namespace: the names that it begins with; ``exit`` and ``quit`` are added.
    """

    def __init__(self, namespace: dict[str, object], console: Console) -> None:
        leave = Leave()
        self._namespace = {"__name__": "__console__", **namespace, "exit": leave, "quit": leave}
        self._console = console
        self._compile = CommandCompiler()
        self._deferreds = 0

    def enter(self, source: str) -> bool:
        """Run source as a prompt does; return whether it is not complete yet.

        :raise SystemExit: if it asks for the end of the session.
        """
        try:
            code = self._compile(source, _FILE, "single")
        except (SyntaxError, ValueError, OverflowError) as error:
            self._complain_of(error)
            return False
        if code is not None:
            self._run(code)
        return code is None

    def run(self, source: str) -> bool:
        """Run whole statements, and show the values of those that are expressions.

        :return: whether all of them ran; the first that fails is the last that runs.
        :raise SystemExit: if one asks for the end of the session.
        """
        try:
            tree = ast.parse(source, _FILE)
            codes = [compile(ast.Interactive([node]), _FILE, "single") for node in tree.body]
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._complain_of(error)
            return False
        return all(map(self._run, codes))

    def _run(self, code: CodeType) -> bool:
        try:
            with self._streams():
                exec(code, self._namespace)  # noqa: S102 - running Python is what this is for
        except SystemExit:
            raise
        except BaseException as error:
            self._complain_of(error)
            return False
        return True

    @contextmanager
    def _streams(self) -> Iterator[None]:
        """Lend the interpreter's standard streams to what runs now."""
        kept = sys.stdin, sys.stdout, sys.stderr, sys.displayhook
        sys.stdin = io.StringIO()
        sys.stdout = _Stream(self._console.out)
        sys.stderr = _Stream(self._console.err)
        sys.displayhook = self._display
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr, sys.displayhook = kept

    def _complain_of(self, error: BaseException) -> None:
        """Show a traceback that begins with what the session typed."""
        trace = error.__traceback__
        own = {__file__, ast.__file__, sys.modules["codeop"].__file__}
        while trace is not None and trace.tb_frame.f_code.co_filename in own:
            trace = trace.tb_next
        lines = traceback.format_exception(type(error), error, trace)
        self._console.complain("".join(lines).rstrip("\n"))

    def _display(self, value: object) -> None:
        if value is None:
            return
        self._namespace["_"] = value
        if isinstance(value, Deferred) and not value.called:
            self._watch(value)
        else:
            self._console.say(repr(value))

    def _watch(self, deferred: Deferred[object]) -> None:
        """Show a Deferred by its number, and its result when it comes."""
        name = f"Deferred #{self._deferreds}"
        self._deferreds += 1

        def fired(result: object) -> object:
            if isinstance(result, Failure):
                self._console.complain(f"{name} failed: {result.getErrorMessage()}")
            else:
                self._console.say(f"{name} fired: {result!r}")
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
