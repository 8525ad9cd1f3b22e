"""The live commands, whose output is updated until a key is pressed."""

from __future__ import annotations

from collections.abc import Callable

from sockd.admin.commands.top import SORTS, Top
from sockd.admin.commands.watch import Watch
from sockd.admin.prompt.console import Console
from sockd.admin.prompt.screen import Screen, View
from sockd.interfaces import IDaemon
from sockd.support.text import nearest, quoted


class LiveCommands:
    """The live commands of one session."""

    def __init__(self, daemon: IDaemon, console: Console) -> None:
        self._daemon = daemon
        self._console = console

    def top(self, sort: str = "traffic") -> None:
        """Show the busiest connections, updated each second; any key ends it."""
        order = str(sort)
        if order not in SORTS:
            known = nearest(order, SORTS)
            self._console.complain(f"cannot sort by {quoted(order)} ({known})")
            return
        self._show(lambda screen: Top(self._daemon, screen, order))

    def watch(self) -> None:
        """Show the events as they happen; any key ends it."""
        self._show(lambda screen: Watch(self._daemon.ledger, screen))

    def _show(self, make: Callable[[Screen], View]) -> None:
        screen = self._console.screen
        if screen is None:
            self._console.complain("live views are not available in this session")
        else:
            self._console.follow(screen.show(make(screen)))
