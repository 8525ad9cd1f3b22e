"""The standard error that a process was started with, which twistd soon takes away.

It makes ``sys.stderr`` a part of the log, and in the background descriptor 2 is /dev/null, as
daemon(7) says. Yet whoever typed the command still waits there for what becomes of it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_STANDARD_ERROR = 2


class Terminal:
    """A descriptor of its own for what is standard error now, to be closed after the start."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._encoding: str = getattr(sys.stderr, "encoding", None) or "utf-8"
        with suppress(OSError):  # it may be closed
            self._descriptor = os.dup(_STANDARD_ERROR)

    def tell(self, text: str) -> None:
        """Print lines; do nothing if nobody is there any more."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, f"{text}\n".encode(self._encoding, "backslashreplace"))

    def close(self) -> None:
        """Let go of it: whoever reads it to its end has it then."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
