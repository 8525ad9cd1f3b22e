"""Other users than the one who runs the tests; only root can become one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
"""The words of a command line that run the rest of it as nobody (setpriv(1))."""

UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
"""The environment of another user, who could not write what is measured."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="it is about root, or needs it")


@contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that every user can read: those that pytest makes are one user's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
