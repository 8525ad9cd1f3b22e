"""A parser of ``configparser`` syntax that keeps line numbers.

:mod:`configparser` does not report the line of an option, and stops at the first error of most
types. This parser reports every error with its line. It uses configparser's own patterns, and a
property-based test compares the results for every text that configparser accepts.
"""

from __future__ import annotations

from configparser import RawConfigParser
from dataclasses import dataclass, field

from sockd.errors import Problem, SourceLocation
from sockd.support.steps import Steps, finished
from sockd.support.text import glance, quoted

MAX_LINE_LENGTH = 4096
"""The maximum length of a line, in characters."""

LINES = 50
"""The number of lines that are read in one step."""

_COMMENT = ("#", ";")


@dataclass(slots=True)
class OptionEntry:
    """The value of an option: its lines, with their numbers in the file."""

    line: int
    lines: list[tuple[int, str]]

    @property
    def text(self) -> str:
        """The value as configparser returns it: the lines joined, without trailing blank ones."""
        return "\n".join(text for _, text in self.lines).rstrip()


@dataclass(slots=True)
class Section:
    """A section, its first line, and its options by their lower-case names."""

    name: str
    line: int
    entries: dict[str, OptionEntry] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """The sections of a text, and its syntax errors."""

    file: str
    sections: dict[str, Section] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read(file: str, text: str) -> Document:
    """Parse a text.

    :param file: the file name for error messages.
    """
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
    """The parser's state between two lines: the current section and option."""

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
        self._entry = OptionEntry(number, [])  # collects the continuation lines of a wrong line
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
