"""Errors for people: a message, its location and a hint.

Each error of a configuration, and each port that cannot be bound, is a :class:`Problem`: one line
whose location an editor can open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sockd.support.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class SourceLocation:
    """A line of a file, with the section and the option; either may be empty."""

    file: str
    line: int
    section: str = ""
    option: str = ""

    def __str__(self) -> str:
        """Return ``FILE:LINE: [section] option``, without the parts that are empty."""
        where = f"{self.file}:{self.line}"
        if self.section:
            where += f": [{self.section}]"
            if self.option:
                where += f" {self.option}"
        return where


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """An error with its location, and a hint to the correct value."""

    location: SourceLocation
    message: str
    hint: str

    def __str__(self) -> str:
        """Return the problem as one line, with unprintable characters escaped."""
        return printable(f"{self.location}: {self.message} ({self.hint})")


class InvalidValue(ValueError):  # noqa: N818 - it describes a value, not an event
    """An invalid value; the caller adds its location."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def at(self, location: SourceLocation) -> Problem:
        """Return the error with a location."""
        return Problem(location, self.message, self.hint)


class SockdError(Exception):
    """One or more problems, sorted by location; ``str`` has a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class ConfigurationError(SockdError):
    """The configuration, or a file or plugin that it uses, is invalid."""


class BindError(SockdError):
    """An endpoint could not be bound."""


class CaptureError(SockdError):
    """A capture failed to start or has ended. The services are not affected."""
