"""The terminal on which the process was started.

twistd redirects ``sys.stderr`` to the log, and daemon(7) processes have /dev/null as descriptors 1
and 2. Errors of the start must still reach the terminal where the command was typed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_STANDARD_OUTPUT = 1
_STANDARD_ERROR = 2


class StartupStderr:
    """Duplicates of standard error and output, kept open until the start is over."""

    def __init__(self) -> None:
        self._encoding: str = getattr(sys.stderr, "encoding", None) or "utf-8"
        self._error = _duplicate(_STANDARD_ERROR)
        output = _duplicate(_STANDARD_OUTPUT)
        self._descriptors = [one for one in (self._error, output) if one is not None]

    @property
    def is_there(self) -> bool:
        """Whether one of them is a terminal, so that secrets can be shown on it."""
        return self._screen() is not None

    def tell(self, text: str) -> None:
        """Write lines to standard error, whatever it is; do nothing if it is closed."""
        if self._error is not None:
            with suppress(OSError):
                os.write(self._error, self._encoded(text))

    def show(self, text: str) -> bool:
        """Write lines to a terminal, never to a file or pipe; return whether that was possible."""
        screen = self._screen()
        if screen is None:
            return False
        try:
            os.write(screen, self._encoded(text))
        except OSError:
            return False
        return True

    def _encoded(self, text: str) -> bytes:
        return f"{text}\n".encode(self._encoding, "backslashreplace")

    def close(self) -> None:
        """Close the duplicates, so that a program that reads a pipe to its end sees the end."""
        descriptors, self._descriptors, self._error = self._descriptors, [], None
        for descriptor in descriptors:
            os.close(descriptor)

    def _screen(self) -> int | None:
        """Return a descriptor of a terminal that has not hung up (tty(4))."""
        return next((one for one in self._descriptors if os.isatty(one)), None)


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # closed
        return None
