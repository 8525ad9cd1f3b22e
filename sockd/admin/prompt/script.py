"""Splitting the input of a session without a terminal into statements. Pure.

``ssh HOST < FILE`` runs each statement as soon as it is complete, so that a program can write a
line and wait for the output. A block is complete when a line follows that does not belong to it.
"""

from __future__ import annotations

import ast

MAX_STATEMENT = 1024 * 1024
"""The maximum length of a statement, in bytes."""

MAX_SCRIPT_LINE = 64 * 1024
"""The maximum length of a viewer's line, in bytes."""

_FREE_BYTES = 64 * 1024
"""The number of bytes that are parsed before an incomplete statement is parsed less often."""


class ParseBudget:
    """Decides when a growing statement is parsed again.

    Parsing it at each line would take quadratic time and block the reactor. So a long statement is
    parsed again only when its length has doubled.
    """

    def __init__(self) -> None:
        self._spent = 0
        self._last = 0

    def allows(self, size: int) -> bool:
        """Return whether a statement of this size, in bytes, is parsed now."""
        if self._spent + size > _FREE_BYTES and size < 2 * self._last:
            return False
        self._spent += size
        self._last = size
        return True


class Script:
    """The input that has not run yet, as Python statements."""

    def __init__(self) -> None:
        self._partial_line = b""
        self._lines: list[str] = []
        self._size = 0
        self._budget = ParseBudget()

    def feed(self, data: bytes) -> list[str]:
        """Add input; return the statements that it completes.

        :raise ValueError: if a statement is too long.
        """
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        complete: list[str] = []
        for number, line in enumerate(lines, 1):
            self._add(line)
            # Always parse at the last line, as the client may wait for its output.
            if self._budget.allows(self._size) or number == len(lines):
                complete += self._complete()
        if self._size + len(self._partial_line) > MAX_STATEMENT:
            message = f"a statement is longer than {MAX_STATEMENT} bytes"
            raise ValueError(message)
        return complete

    def end(self) -> str:
        """Return what is left at the end of the input."""
        self._add(self._partial_line)
        rest = "\n".join(self._lines)
        self._partial_line = b""
        self._lines = []
        self._size = 0
        return rest

    def _add(self, line: bytes) -> None:
        self._lines.append(line.removesuffix(b"\r").decode("utf-8", "replace"))
        self._size += len(line) + 1

    def _complete(self) -> list[str]:
        """Remove and return the statements that no further line can change."""
        try:
            statements = ast.parse("\n".join(self._lines)).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
        if statements and _is_open(statements[-1]):
            statements.pop()
            if not statements:
                return []
        end = statements[-1].end_lineno if statements else None
        done, self._lines = self._lines[:end], self._lines[end:] if end else []
        self._size -= sum(len(line) + 1 for line in done)
        self._budget = ParseBudget()
        return ["\n".join(done)] if statements else []


class Lines:
    """The input of a viewer, as lines."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> list[str]:
        """Add input; return the lines that it completes.

        :raise ValueError: if a line is too long.
        """
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_SCRIPT_LINE:
            message = f"a line is longer than {MAX_SCRIPT_LINE} bytes"
            raise ValueError(message)
        return [line.decode("utf-8", "replace") for line in lines]

    def end(self) -> str:
        """Return what is left at the end of the input."""
        partial, self._partial = self._partial, b""
        return partial.decode("utf-8", "replace")


def _is_open(statement: ast.stmt) -> bool:
    """Return whether the next line may belong to a statement, which is so for blocks."""
    return "body" in statement._fields or isinstance(statement, ast.Match)
