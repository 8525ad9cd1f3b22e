"""The options of one section: read by name, every wrong one a problem in its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sockd.config.values import file_name
from sockd.errors import InvalidValue, Problem, SourceLocation
from sockd.support.steps import Steps, finished
from sockd.support.text import glance, nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from sockd.config.endpoint import Endpoint, EndpointCheck, EndpointParser
    from sockd.config.ini import Section

T = TypeVar("T")

_REMARK = re.compile(r"\s[;#]")
"""What begins a remark in other programs' files. Here it is part of the value."""


class SectionOptions:
    """The options of a section; leaving its context complains of those that nobody read.

    :param file: the file's name; relative paths are taken from its folder.
    :param problems: where what is wrong is gathered.
    :param check: has the last word on each endpoint.
    """

    def __init__(
        self, file: str, section: Section, problems: list[Problem], check: EndpointCheck
    ) -> None:
        self._file = file
        self._folder = Path(file).absolute().parent
        self._section = section
        self._problems = problems
        self._check = check
        self._known: list[str] = []

    def __enter__(self) -> SectionOptions:
        """Begin to read."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Complain of the options that are not known here."""
        for name in self._section.entries:
            if name not in self._known:
                self.complain(name, "unknown option", nearest(name, self._known))

    def location(self, name: str = "", line: int | None = None) -> SourceLocation:
        """Return where the section, one of its options or a line of an option stands."""
        entry = self._section.entries.get(name)
        number = line or (entry.line if entry else self._section.line)
        return SourceLocation(self._file, number, glance(self._section.name), glance(name))

    def complain(self, name: str, message: str, hint: str) -> None:
        """Gather what is wrong with an option, or with the section where it has no name."""
        self._problems.append(Problem(self.location(name), message, hint))

    def value(self, name: str, parse: Callable[[str], T], default: str) -> T:
        """Return an option's value; a wrong one is a problem, and its default stands in."""
        text = self._text(name)
        if text is not None:
            try:
                return parse(text)
            except Exception as error:  # a plugin's parser raises what it likes
                invalid = (
                    error if isinstance(error, InvalidValue) else _invalid(text, error, default)
                )
                self._reject(text, invalid, self.location(name))
        return parse(default)

    def value_or(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return an option's value, or a value that another section gave where it is not there.

        A wrong one is a problem, and the other section's stands in.
        """
        text = self._text(name)
        if text is not None:
            try:
                return parse(text)
            except InvalidValue as invalid:
                self._reject(text, invalid, self.location(name))
        return default

    def word(self, name: str, parse: Callable[[str], str], default: str) -> str:
        """Return an option whose default may be wrong too: that it is missing is a problem."""
        text = self._text(name)
        if text is None:
            text = default
        try:
            return parse(text)
        except InvalidValue as invalid:
            self._reject(text, invalid, self.location(name))
            return default

    def values(self, name: str, parse: Callable[[str, SourceLocation], T]) -> tuple[T, ...]:
        """Return the values of a list, separated by commas or line ends."""
        return finished(self.values_in_steps(name, parse))

    def values_in_steps(
        self, name: str, parse: Callable[[str, SourceLocation], T]
    ) -> Steps[tuple[T, ...]]:
        """Do the same as :meth:`values`, one value at a time."""
        self._known.append(name)
        values = []
        for number, text in self._items(name):
            location = self.location(name, number)
            try:
                values.append(parse(text, location))
            except InvalidValue as invalid:
                self._reject(text, invalid, location)
            yield
        return tuple(values)

    def values_or(
        self, name: str, parse: Callable[[str, SourceLocation], T], default: tuple[T, ...]
    ) -> tuple[T, ...]:
        """Return the values of a list, or those that another section gave where it is not there.

        A list that is there and empty is empty.
        """
        given = self.values(name, parse)
        return given if name in self._section.entries else default

    def endpoints(self, name: str, parse: EndpointParser, default: str) -> tuple[Endpoint, ...]:
        """Return a list of endpoints: the default one where the option is not there."""
        return finished(self.endpoints_in_steps(name, parse, default))

    def endpoints_in_steps(
        self, name: str, parse: EndpointParser, default: str
    ) -> Steps[tuple[Endpoint, ...]]:
        """Do the same as :meth:`endpoints`, one endpoint at a time."""

        def parse_here(text: str, location: SourceLocation) -> Endpoint:
            endpoint = parse(text, location).relative_to(self._folder)
            self._check(endpoint)
            return endpoint

        if name in self._section.entries or not default:
            return (yield from self.values_in_steps(name, parse_here))
        self._known.append(name)
        return (parse_here(default, self.location(name)),)

    def require(self, name: str, hint: str) -> None:
        """Make it a problem if a list is empty."""
        if not any(self._items(name)):
            self.complain(name, "no value is given", hint)

    def path(self, name: str) -> Path | None:
        """Return a path, a relative one taken from the file's folder; ``None`` if not given."""
        text = self.value(name, file_name, "")
        return self._folder / text if text else None

    def paths(self, name: str) -> tuple[Path, ...]:
        """Return a list of paths, relative ones taken from the file's folder."""
        return self.values(name, lambda text, _: self._folder / file_name(text))

    def _text(self, name: str) -> str | None:
        """Return an option's text, ``None`` where it is not there; now it is known."""
        self._known.append(name)
        entry = self._section.entries.get(name)
        return None if entry is None else entry.text

    def _items(self, name: str) -> Iterator[tuple[int, str]]:
        entry = self._section.entries.get(name)
        for number, text in entry.lines if entry else ():
            for item in text.split(","):
                if item.strip():
                    yield number, item.strip()

    def _reject(self, text: str, invalid: InvalidValue, location: SourceLocation) -> None:
        remark = "; a comment must be on its own line" if _REMARK.search(text) else ""
        self._problems.append(Problem(location, invalid.message, invalid.hint + remark))


def _invalid(text: str, error: Exception, default: str) -> InvalidValue:
    return InvalidValue(f"{quoted(text)} is not valid: {glance(str(error))}", f"such as {default}")
