"""The shell of a viewer: one command of a fixed table per line, without Python.

A line is a name with optional literals in parentheses: ``connections('echo', limit=20)``. It is
parsed with regular expressions. Nothing is compiled, evaluated or looked up on an object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from sockd.admin.commands.command import Run, help_text, parameters
from sockd.admin.commands.commands import DEFAULT_ROWS, Commands
from sockd.admin.prompt.console import Console
from sockd.errors import InvalidValue
from sockd.interfaces import IDaemon
from sockd.render.tables import pairs
from sockd.support.text import nearest, quoted

MAX_COMMAND = 256
"""The maximum length of a line, in characters."""

MOST_ROWS = 1000
"""The maximum number of rows of a table for a viewer."""

_CALL = re.compile(
    r"[ ]* (?P<name> [a-z]{1,20} ) [ ]* (?: \( (?P<arguments> [^()]* ) \) [ ]* )?",
    re.VERBOSE | re.ASCII,
)
_ARGUMENT = re.compile(
    r"""[ ]* (?: (?P<name> [a-z]{1,20} ) [ ]* = [ ]* )?
        (?: '(?P<single> [A-Za-z0-9._-]{1,64} )' | "(?P<double> [A-Za-z0-9._-]{1,64} )"
          | (?P<number> [0-9]{1,15} ) ) [ ]*""",
    re.VERBOSE | re.ASCII,
)
_GRAMMAR = "one command a line, such as services() or connections('NAME'); commands() lists them"

Literal = str | int


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed line.

    :ivar arguments: names and values; the name of a positional argument is empty.
    """

    name: str
    arguments: tuple[tuple[str, Literal], ...] = ()


@dataclass(frozen=True, slots=True)
class ViewerCommand:
    """A command of the table.

    :ivar run: called with the arguments by name.
    :ivar parameters: the parameters in order, with their types.
    :ivar required: the number of required parameters.
    """

    run: Callable[..., None]
    help: str
    parameters: Mapping[str, type[Literal]]
    required: int = 0


class ViewerShell:
    """The commands of a viewer's session.

    :param clock: returns the time in seconds since the epoch.
    """

    def __init__(self, daemon: IDaemon, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        runs = {
            one.name: one.viewer_run
            for one in Commands(daemon, console, clock).table()
            if one.viewer_run is not None
        }
        runs |= {"commands": self._commands, "exit": _leave, "quit": _leave}
        self._table = {name: _viewer_command(run) for name, run in runs.items()}

    def enter(self, source: str) -> bool:
        """Run a line; return ``False``, as a line is always complete.

        :raise SystemExit: if it ends the session.
        """
        self.run(source)
        return False

    def run(self, source: str) -> bool:
        """Run a line; return whether it was valid.

        :raise SystemExit: if it ends the session.
        """
        try:
            call = parse_call(source)
            if call is not None:
                self._dispatch(call)
        except InvalidValue as invalid:
            self._console.complain(f"{invalid.message} ({invalid.hint})")
            return False
        return True

    def _dispatch(self, call: Call) -> None:
        entry = self._table.get(call.name)
        if entry is None:
            message = f"no command {quoted(call.name)} for viewers"
            raise InvalidValue(message, nearest(call.name, self._table))
        entry.run(**_bound(call, entry))

    def _commands(self) -> None:
        """List the commands."""
        self._console.say(pairs((f"{name}()", entry.help) for name, entry in self._table.items()))


def parse_call(line: str) -> Call | None:
    """Parse a line. Return ``None`` for an empty one.

    :raise InvalidValue: if the line is invalid.
    """
    text = line.rstrip("\r\n")
    if not text.strip(" "):
        return None
    match = _CALL.fullmatch(text) if len(text) <= MAX_COMMAND else None
    if match is None:
        message = f"{quoted(text)} is not a command"
        raise InvalidValue(message, _GRAMMAR)
    return Call(match["name"], _arguments(match["arguments"] or ""))


def _arguments(text: str) -> tuple[tuple[str, Literal], ...]:
    if not text.strip(" "):
        return ()
    return tuple(_argument(part) for part in text.split(","))


def _argument(text: str) -> tuple[str, Literal]:
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        message = f"{quoted(text.strip())} is neither a number nor a name in quotation marks"
        raise InvalidValue(message, _GRAMMAR)
    number = match["number"]
    value = match["single"] or match["double"] if number is None else int(number)
    return match["name"] or "", value


def _bound(call: Call, entry: ViewerCommand) -> dict[str, Literal]:
    """Return the arguments of a call by the names of the parameters.

    :raise InvalidValue: if they do not match the parameters.
    """
    takes = ", ".join(entry.parameters) or "nothing"
    bound: dict[str, Literal] = {}
    unnamed = iter(entry.parameters)
    for given, value in call.arguments:
        name = given or next(unnamed, "")
        kind = entry.parameters.get(name)
        if kind is None or name in bound or type(value) is not kind:
            message = f"{quoted(str(value))} is not a valid argument of {call.name}()"
            raise InvalidValue(message, f"it takes {takes}")
        bound[name] = value
    if len(bound) < entry.required:
        message = f"{call.name}() needs an argument"
        raise InvalidValue(message, f"it takes {takes}")
    limit = bound.get("limit", DEFAULT_ROWS)
    if isinstance(limit, int) and limit > MOST_ROWS:
        message = f"limit={limit} is too large"
        raise InvalidValue(message, f"{MOST_ROWS} at most")
    return bound


def _viewer_command(run: Run) -> ViewerCommand:
    types, required = parameters(run)
    return ViewerCommand(run, help_text(run), types, required)


def _leave() -> NoReturn:
    """End the session, as Ctrl-D does; the daemon keeps running."""
    raise SystemExit
