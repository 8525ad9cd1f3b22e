"""The shell's ``capture``: called it shows how the capture goes, and it can start and stop it."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockd.admin.prompt.console import Console
from sockd.interfaces import ICapture, IDaemon
from sockd.render.tables import pairs

_ROWS = 20
"""How many files are listed at most; the newest."""


class CaptureCommand:
    """Show what is captured; capture.start() and capture.stop() begin and end it."""

    __name__ = "capture"

    def __init__(self, daemon: IDaemon, console: Console) -> None:
        self._daemon = daemon
        self._console = console

    def __repr__(self) -> str:
        """Return what a person sees who forgets the parentheses."""
        return "capture() shows it, capture.start() and capture.stop() begin and end it"

    def __call__(self) -> None:
        """Show how the capture goes."""
        capture = self._capture()
        if capture is not None:
            self._show(capture)

    def start(self) -> None:
        """Begin to write files."""
        capture = self._capture()
        if capture is not None:
            self._report(capture, capture.start())

    def stop(self) -> None:
        """End the files."""
        capture = self._capture()
        if capture is not None:
            self._report(capture, capture.stop())

    def _capture(self) -> ICapture | None:
        """Return the capture, or say what is missing."""
        capture = self._daemon.capture
        if capture is None:
            self._console.complain("nothing is captured: the configuration has no [capture]")
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
