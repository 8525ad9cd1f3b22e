"""Reads ``configparser`` syntax and remembers the lines.

:mod:`configparser` forgets where an option stood and stops at the first error of most sorts;
people who correct a file want every error with its line. The patterns are configparser's own,
and a property-based test holds this reader to the same result on every text that configparser
accepts.
"""

from __future__ import annotations

from configparser import RawConfigParser
from dataclasses import dataclass, field

from sockd.errors import Problem, SourceLocation
from sockd.support.steps import Steps, finished
from sockd.support.text import glance, quoted

MAX_LINE_LENGTH = 4096
"""In characters. Nothing that a configuration means is longer."""

LINES = 50
"""How many lines are read in one step."""

_COMMENT = ("#", ";")


@dataclass(slots=True)
class OptionEntry:
    """An option's value: its lines, each with its number in the file."""

    line: int
    lines: list[tuple[int, str]]

    @property
    def text(self) -> str:
        """The value as configparser gives it: the lines joined, no blank ones at the end."""
        return "\n".join(text for _, text in self.lines).rstrip()


@dataclass(slots=True)
class Section:
    """A section, where it begins, and its options by their lower-case names."""

    name: str
    line: int
    entries: dict[str, OptionEntry] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """What the text said, and what of it could not be read."""

    file: str
    sections: dict[str, Section] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read(file: str, text: str) -> Document:
    """Return the document that a text holds; ``file`` is what its errors call it."""
    return finished(read_in_steps(file, text))


def read_in_steps(file: str, text: str) -> Steps[Document]:
    """Do the same as :func:`read`, :data:`LINES` at a time."""
    reader = _LineReader(Document(file))
    for number, line in enumerate(text.split("\n"), 1):
        reader.line(number, line)
        if number % LINES == 0:
            yield
    return reader.document


class _LineReader:
    """The state between two lines: which section and which option they are in."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._section: Section | None = None
        self._entry: OptionEntry | None = None
        self._indent = 0

    def line(self, number: int, line: str) -> None:
        stripped = line.strip()
        if stripped.startswith(_COMMENT):
            return
        indent = len(line) - len(line.lstrip())
        if self._entry is not None and (not stripped or indent > self._indent):
            self._continue(self._entry, number, stripped)
        elif stripped:
            self._indent = indent
            self._statement(number, stripped)

    def _continue(self, entry: OptionEntry, number: int, text: str) -> None:
        if not self._is_too_long(number, text):
            entry.lines.append((number, text))

    def _statement(self, number: int, text: str) -> None:
        self._entry = OptionEntry(number, [])  # where the lines that continue a wrong one go
        if self._is_too_long(number, text):
            return
        header = RawConfigParser.SECTCRE.match(text)
        if header is not None:
            self._begin_section(number, header.group("header"))
            return
        option = RawConfigParser.OPTCRE.match(text)
        if option is None or not option.group("option"):
            self._complain(number, f"{quoted(text)} is not an option", "option = value")
        elif self._section is None:
            self._complain(number, f"{quoted(text)} is outside any section", "begin with [sockd]")
        else:
            name = option.group("option").rstrip().lower()
            self._begin_entry(self._section, number, name, option.group("value").strip())

    def _begin_section(self, number: int, name: str) -> None:
        self._entry = None
        self._section = Section(name, number)
        first = self.document.sections.setdefault(name, self._section)
        if first is not self._section:
            self._complain(number, "duplicate section", f"first defined in line {first.line}")

    def _begin_entry(self, section: Section, number: int, name: str, value: str) -> None:
        self._entry = OptionEntry(number, [(number, value)])
        first = section.entries.setdefault(name, self._entry)
        if first is not self._entry:
            self._complain(
                number, "duplicate option", f"first defined in line {first.line}", option=name
            )

    def _is_too_long(self, number: int, text: str) -> bool:
        if len(text) <= MAX_LINE_LENGTH:
            return False
        self._complain(
            number, f"the line is {len(text)} characters long", f"{MAX_LINE_LENGTH} at most"
        )
        return True

    def _complain(self, number: int, message: str, hint: str, option: str = "") -> None:
        section = glance(self._section.name) if self._section else ""
        location = SourceLocation(self.document.file, number, section, glance(option))
        self.document.problems.append(Problem(location, message, hint))
