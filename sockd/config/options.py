"""The options of one section, read by name; errors are collected with their lines."""

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

_INLINE_COMMENT = re.compile(r"\s[;#]")
"""The start of a comment behind a value. It is not supported, and so is part of the value."""


class SectionOptions:
    """The options of a section; on exit of the context, options that were not read are errors.

    :param file: the file's name; relative paths are resolved against its folder.
    :param problems: collects the errors.
    :param check: checks each endpoint after it was parsed.
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
        """Return the options."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Report the options that were not read as unknown."""
        for name in self._section.entries:
            if name not in self._known:
                self.complain(name, "unknown option", nearest(name, self._known))

    def location(self, name: str = "", line: int | None = None) -> SourceLocation:
        """Return the location of the section, of an option or of one line of an option."""
        entry = self._section.entries.get(name)
        number = line or (entry.line if entry else self._section.line)
        return SourceLocation(self._file, number, glance(self._section.name), glance(name))

    def complain(self, name: str, message: str, hint: str) -> None:
        """Report a problem of an option, or of the section if the name is empty."""
        self._problems.append(Problem(self.location(name), message, hint))

    def value(self, name: str, parse: Callable[[str], T], default: str) -> T:
        """Return the value of an option; an invalid one is reported, and the default returned."""
        text = self._text(name)
        if text is not None:
            try:
                return parse(text)
            except Exception as error:  # a plugin's parser may raise anything
                invalid = (
                    error if isinstance(error, InvalidValue) else _invalid(text, error, default)
                )
                self._reject(text, invalid, self.location(name))
        return parse(default)

    def value_or(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the value of an option, or a parsed default, for example from ``[sockd]``.

        An invalid value is reported, and the default returned.
        """
        text = self._text(name)
        if text is not None:
            try:
                return parse(text)
            except InvalidValue as invalid:
                self._reject(text, invalid, self.location(name))
        return default

    def word(self, name: str, parse: Callable[[str], str], default: str) -> str:
        """Return the value of an option whose default may be invalid: then it is required."""
        text = self._text(name)
        if text is None:
            text = default
        try:
            return parse(text)
        except InvalidValue as invalid:
            self._reject(text, invalid, self.location(name))
            return default

    def values(self, name: str, parse: Callable[[str, SourceLocation], T]) -> tuple[T, ...]:
        """Return the values of a list, separated by commas or newlines."""
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
        """Return the values of a list, or the default if the option is not given.

        A list that is given and empty is empty.
        """
        given = self.values(name, parse)
        return given if name in self._section.entries else default

    def endpoints(self, name: str, parse: EndpointParser, default: str) -> tuple[Endpoint, ...]:
        """Return a list of endpoints, or the default endpoint if the option is not given."""
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
        """Report a list that is missing or empty."""
        if not any(self._items(name)):
            self.complain(name, "no value is given", hint)

    def path(self, name: str) -> Path | None:
        """Return a path, resolved against the file's folder; ``None`` if it is not given."""
        text = self.value(name, file_name, "")
        return self._folder / text if text else None

    def paths(self, name: str) -> tuple[Path, ...]:
        """Return a list of paths, resolved against the file's folder."""
        return self.values(name, lambda text, _: self._folder / file_name(text))

    def _text(self, name: str) -> str | None:
        """Return the text of an option or ``None``, and mark the option as known."""
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
        has_comment = _INLINE_COMMENT.search(text)
        comment_hint = "; a comment must be on its own line" if has_comment else ""
        self._problems.append(Problem(location, invalid.message, invalid.hint + comment_hint))


def _invalid(text: str, error: Exception, default: str) -> InvalidValue:
    return InvalidValue(f"{quoted(text)} is not valid: {glance(str(error))}", f"such as {default}")
