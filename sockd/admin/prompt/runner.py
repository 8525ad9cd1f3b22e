"""The interface that runs the input of a session, and the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sockd.admin.prompt.console import Console


class Runner(Protocol):
    """Runs the input of one session: Python for admins, a fixed table for viewers."""

    def enter(self, source: str) -> bool:
        """Run source as a prompt does; return whether it is incomplete.

        :raise SystemExit: if it ends the session.
        """

    def run(self, source: str) -> bool:
        """Run source without a prompt; return whether it succeeded.

        :raise SystemExit: if it ends the session.
        """


RunnerMaker = Callable[[Console], Runner]


class AuditedRunner:
    """A runner that logs each command before it runs.

    :param tell: logs the input.
    :param is_over: returns whether the session is ending. Then nothing is run.
    """

    def __init__(
        self, runner: Runner, tell: Callable[[str], None], is_over: Callable[[], bool]
    ) -> None:
        self._runner = runner
        self._tell = tell
        self._is_over = is_over

    def enter(self, source: str) -> bool:
        """Log the last line, as the previous ones have been logged already, and run."""
        self._record(source.rpartition("\n")[2])
        return self._runner.enter(source)

    def run(self, source: str) -> bool:
        """Log all of the source, and run."""
        self._record(source)
        return self._runner.run(source)

    def _record(self, source: str) -> None:
        if self._is_over():
            raise SystemExit
        if source.strip():
            self._tell(source)
