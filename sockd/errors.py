"""What is wrong, where, and what to do about it: the errors that people read.

Every mistake in a configuration, and every port that cannot be had, becomes a :class:`Problem`:
one line that an editor can jump to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sockd.support.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class SourceLocation:
    """A line of a file, and the section and option that stand there (both may be empty)."""

    file: str
    line: int
    section: str = ""
    option: str = ""

    def __str__(self) -> str:
        """Return ``FILE:LINE: [section] option``, without the parts that are not known."""
        where = f"{self.file}:{self.line}"
        if self.section:
            where += f": [{self.section}]"
            if self.option:
                where += f" {self.option}"
        return where


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong at a place, and what would be right."""

    location: SourceLocation
    message: str
    hint: str

    def __str__(self) -> str:
        """Return the one line that people see, fit for a terminal whatever the parts hold."""
        return printable(f"{self.location}: {self.message} ({self.hint})")


class InvalidValue(ValueError):  # noqa: N818 - said of a text, not of what happened
    """A text that does not fit where it stands; whoever knows the place makes it a problem."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def at(self, location: SourceLocation) -> Problem:
        """Return this as the problem of a place."""
        return Problem(location, self.message, self.hint)


class SockdError(Exception):
    """One problem or more, in the order of their places; ``str`` has a line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class ConfigurationError(SockdError):
    """The configuration, or something that it names, is not usable."""


class BindError(SockdError):
    """An endpoint could not be bound."""


class CaptureError(SockdError):
    """A capture cannot be made, or came to an end; the services go on."""
