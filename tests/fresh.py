"""Virtual environments of their own for packages that were just built, without a download."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

DEADLINE = 120.0
"""How long building or installing may take, in seconds."""

_TWISTD = """\
#!{python}
import sys
from twisted.scripts.twistd import run
sys.exit(run())
"""
_ARTEFACTS = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", ".coverage*", "__pycache__", "build", "dist",
    "*.egg-info", "dropin.cache*", "node_modules"
)  # fmt: skip


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of all worker processes to ask for it fills.

    (``--dist=loadgroup``, which would bring its users to one worker, does nothing with pytest 9.2
    and pytest-xdist 3.8.)
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


class FreshEnvironment:
    """A virtual environment that has what sockd needs, but not sockd.

    The dependencies are those of the environment that runs the tests: a ``.pth`` file names its
    folder. What that folder's own ``.pth`` files name, such as an editable sockd, stays out.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = str(folder / "bin" / "python")
        self.twistd = str(folder / "bin" / "twistd")
        self.packages = Path(
            sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
        )

    def create(self) -> FreshEnvironment:
        """Make it, and return it."""
        venv.create(self.folder, symlinks=True)
        dependencies = sysconfig.get_path("purelib")
        (self.packages / "dependencies.pth").write_text(dependencies + "\n", encoding="utf-8")
        script = Path(self.twistd)
        script.write_text(_TWISTD.format(python=self.python), encoding="utf-8")
        script.chmod(0o755)
        return self

    def install(self, *words: str | Path) -> None:
        """Install what pip's words name, and nothing else."""
        run(
            *(sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--no-index"),
            *map(str, words),
            folder=self.folder,
        )


def run(*words: str, folder: Path) -> str:
    """Run a program that must succeed; return what it said on standard output."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_of_the_tree(folder: Path) -> Path:
    """Copy what a fresh clone would have, so that nothing built is left in the repository."""
    copy = folder / "sockd"
    shutil.copytree(REPOSITORY, copy, symlinks=True, ignore=_ARTEFACTS)
    return copy
