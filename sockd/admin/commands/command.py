"""One command of the shell: what runs it, for admins and for viewers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

Run = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the table in :class:`~sockd.admin.commands.commands.Commands`.

    :ivar run: what an admin's session calls; the first line of its docstring is its help.
    :ivar viewer_run: what a viewer's session calls; ``None``: viewers do not have the command.
    """

    run: Run
    viewer_run: Run | None = None

    @property
    def name(self) -> str:
        """The name to type."""
        name: str = self.run.__name__
        return name


def for_admins(run: Run) -> Command:
    """Return a command that viewers do not have."""
    return Command(run)


def for_all(run: Run) -> Command:
    """Return a command that does the same for admins and for viewers."""
    return Command(run, run)


def help_text(run: Run) -> str:
    """Return the help of a command: the first line of its docstring."""
    return (run.__doc__ or "").partition("\n")[0]


def parameters(run: Run) -> tuple[Mapping[str, type[Any]], int]:
    """Return the types of a command's parameters by name, and how many of them are required.

    Each is annotated with ``str`` or ``int``, or one of them ``| None``.
    """
    hints = get_type_hints(run)
    known = inspect.signature(run).parameters.values()
    types = {one.name: _plain_type(hints[one.name]) for one in known}
    return types, sum(one.default is inspect.Parameter.empty for one in known)


def _plain_type(hint: Any) -> type[Any]:
    for plain in (str, int):
        if hint in (plain, plain | None):
            return plain
    message = f"a parameter of a command is str or int, not {hint}"
    raise TypeError(message)
