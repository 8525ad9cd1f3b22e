"""Cuts the input of a session without a terminal into statements that can run. Pure.

``ssh HOST < FILE`` runs each statement as soon as it is known to be complete, so that a program
that writes a line and waits for the answer gets it. A block is complete with the next line that
does not belong to it.
"""

from __future__ import annotations

import ast

MAX_STATEMENT = 1024 * 1024
"""How many bytes may wait for the end of a statement."""

MAX_SCRIPT_LINE = 64 * 1024
"""How many bytes a line may have where no more than one is a statement."""


_CHEAP = 64 * 1024
"""How many bytes may be parsed before a statement that is not complete is parsed less often."""


class ParseBudget:
    """Says when a statement that grows line by line is worth parsing again.

    To parse all of it at each line takes time that grows with the square of its length, and the
    services wait. So a long one is parsed again only when it is twice as long as the last time.
    """

    def __init__(self) -> None:
        self._spent = 0
        self._last = 0

    def allows(self, size: int) -> bool:
        """Return whether to parse a statement of so many bytes now."""
        if self._spent + size > _CHEAP and size < 2 * self._last:
            return False
        self._spent += size
        self._last = size
        return True


class Script:
    """The input so far that has not run."""

    def __init__(self) -> None:
        self._partial_line = b""
        self._lines: list[str] = []
        self._size = 0
        self._budget = ParseBudget()

    def feed(self, data: bytes) -> list[str]:
        """Add input; return the statements that are complete with it.

        :raise ValueError: if too much waits for the end of a statement.
        """
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        complete: list[str] = []
        for number, line in enumerate(lines, 1):
            self._add(line)
            # The client may wait for an answer to the last line.
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
        """Take out the statements that no further line can change."""
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
    """The input so far of somebody whose every line is a statement, and is no Python."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> list[str]:
        """Add input; return the lines that are complete with it.

        :raise ValueError: if a line has no end.
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
    """Return whether the next line may still belong to a statement: it may if that is a block."""
    return "body" in statement._fields or isinstance(statement, ast.Match)
