"""What runs the lines of a session: Python for an admin, a fixed table for a viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sockd.admin.prompt.console import Console


class Runner(Protocol):
    """Runs what one session types."""

    def enter(self, source: str) -> bool:
        """Run source as a prompt does; return whether it is not complete yet.

        :raise SystemExit: if it asks for the end of the session.
        """

    def run(self, source: str) -> bool:
        """Run source without a prompt; return whether all went well.

        :raise SystemExit: if it asks for the end of the session.
        """


RunnerMaker = Callable[[Console], Runner]


class AuditedRunner:
    """A runner whose every command is told before it runs.

    :param tell: is given what was typed.
    :param is_over: returns whether the session is being ended: then nothing runs any more.
    """

    def __init__(
        self, runner: Runner, tell: Callable[[str], None], is_over: Callable[[], bool]
    ) -> None:
        self._runner = runner
        self._tell = tell
        self._is_over = is_over

    def enter(self, source: str) -> bool:
        """Tell the last line, as the ones before it were told when they came, and run."""
        self._record(source.rpartition("\n")[2])
        return self._runner.enter(source)

    def run(self, source: str) -> bool:
        """Tell all of it, and run."""
        self._record(source)
        return self._runner.run(source)

    def _record(self, source: str) -> None:
        if self._is_over():
            raise SystemExit
        if source.strip():
            self._tell(source)
