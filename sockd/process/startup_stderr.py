"""The terminal that a process was started on, which twistd soon takes away.

It makes ``sys.stderr`` a part of the log, and in the background descriptors 1 and 2 are /dev/null,
as daemon(7) says. Yet whoever typed the command still waits there for what becomes of it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_STANDARD_OUTPUT = 1
_STANDARD_ERROR = 2


class StartupStderr:
    """Descriptors of its own for what is standard error and output now, until the start is over."""

    def __init__(self) -> None:
        self._encoding: str = getattr(sys.stderr, "encoding", None) or "utf-8"
        self._error = _duplicate(_STANDARD_ERROR)
        output = _duplicate(_STANDARD_OUTPUT)
        self._descriptors = [one for one in (self._error, output) if one is not None]

    @property
    def is_there(self) -> bool:
        """Whether somebody can read there what no file, pipe or log is to have."""
        return self._screen() is not None

    def tell(self, text: str) -> None:
        """Print lines on standard error, whatever it is; do nothing if nobody is there any more."""
        if self._error is not None:
            with suppress(OSError):
                os.write(self._error, self._encoded(text))

    def show(self, text: str) -> bool:
        """Print lines on a terminal and nowhere else; return whether that was done."""
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
        """Let go of it: whoever reads it to its end has it then."""
        descriptors, self._descriptors, self._error = self._descriptors, [], None
        for descriptor in descriptors:
            os.close(descriptor)

    def _screen(self) -> int | None:
        """Return a descriptor of a terminal; one that has hung up is none (tty(4))."""
        return next((one for one in self._descriptors if os.isatty(one)), None)


def _duplicate(descriptor: int) -> int | None:
    try:
        return os.dup(descriptor)
    except OSError:  # it may be closed
        return None
