"""A window with a command in it: what a person types there, and everything they see."""

from __future__ import annotations

import os
import re
import subprocess
import termios
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.harness import DEADLINE
from tests.namespaces import Host

_ROWS_AND_COLUMNS = (50, 100)
_CTRL_C = b"\x03"


class Terminal:
    """Runs a command of the shell on a pseudo-terminal of its own (pty(7)).

    As a context manager the command is gone at the end.

    :param folder: the working directory.
    """

    def __init__(
        self, host: Host, command: str, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._command = command
        self._seen = b""
        self._changed = threading.Condition()
        self._keyboard, screen = os.openpty()
        termios.tcsetwinsize(screen, _ROWS_AND_COLUMNS)
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *host.command("sh", "-c", command)],
            stdin=screen,
            stdout=screen,
            stderr=screen,
            cwd=folder,
            env=environment,
        )
        os.close(screen)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        """Return the window."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is still running."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(DEADLINE)
        os.close(self._keyboard)

    @property
    def output(self) -> str:
        """What stands below the command, typed lines included."""
        with self._changed:
            return self._seen.decode("utf-8", "replace").replace("\r", "")

    @property
    def text(self) -> str:
        """What stands in the window: the command, and all below it."""
        return f"$ {self._command}\n{self.output}"

    def type(self, line: str) -> None:
        """Type a line and press return."""
        os.write(self._keyboard, f"{line}\n".encode())

    def press_ctrl_c(self) -> None:
        """Interrupt the command, and wait for its end."""
        os.write(self._keyboard, _CTRL_C)
        self.wait()

    def wait(self) -> None:
        """Wait until the command has ended and all that it said can be seen."""
        self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)

    def wait_for(self, pattern: str, start: int = 0) -> re.Match[str]:
        """Return the first match of a pattern in the output, as soon as it is there.

        :param start: how much of the output does not count.
        """
        expression = re.compile(pattern, re.MULTILINE)
        with self._changed:
            self._changed.wait_for(lambda: expression.search(self.output, start), DEADLINE)
        found = expression.search(self.output, start)
        assert found is not None, f"{pattern!r} was not seen:\n{self.text}"
        return found

    def _read(self) -> None:
        while data := self._next():
            with self._changed:
                self._seen += data
                self._changed.notify_all()

    def _next(self) -> bytes:
        """Return what is new; nothing once nobody has the terminal open any more."""
        try:
            return os.read(self._keyboard, 65536)
        except OSError:  # EIO
            return b""
