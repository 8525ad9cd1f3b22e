"""The ``capture`` command: shows the status of the capture, starts it and stops it."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockd.admin.prompt.console import Console
from sockd.interfaces import ICapture, IDaemon
from sockd.render.tables import pairs

_ROWS = 20
"""The maximum number of files in the list; the newest are shown."""


class CaptureCommand:
    """Show the capture; capture.start() and capture.stop() start and stop it."""

    __name__ = "capture"

    def __init__(self, daemon: IDaemon, console: Console) -> None:
        self._daemon = daemon
        self._console = console

    def __repr__(self) -> str:
        """Return a hint for a user who omits the parentheses."""
        return "capture() shows the capture; capture.start() and capture.stop() start and stop it"

    def __call__(self) -> None:
        """Show the status of the capture."""
        capture = self._capture()
        if capture is not None:
            self._show(capture)

    def start(self) -> None:
        """Start the capture."""
        capture = self._capture()
        if capture is not None:
            self._report(capture, capture.start())

    def stop(self) -> None:
        """Stop the capture."""
        capture = self._capture()
        if capture is not None:
            self._report(capture, capture.stop())

    def _capture(self) -> ICapture | None:
        """Return the capture, or report that it is not configured."""
        capture = self._daemon.capture
        if capture is None:
            self._console.complain(
                "capture is not configured: the configuration has no [capture] section"
            )
        return capture

    def _report(self, capture: ICapture, work: Deferred[None]) -> None:
        work.addCallback(lambda _: self._show(capture))
        self._console.follow(work)

    def _show(self, capture: ICapture) -> None:
        status = dict(capture.status())
        error, files = status.pop("error"), status.pop("files")
        self._console.say(pairs(status.items()))
        if isinstance(files, list):
            for file in files[-_ROWS:]:
                self._console.say(f"  {file['name']}  {file['size']}")
        if error is not None:
            self._console.complain(str(error))
