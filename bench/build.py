"""Compiles the load generator and the servers that are not scripts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.errors import BenchError

HERE = Path(__file__).parent
_C = ("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-o")


def build(folder: Path) -> None:
    """Compile the programs into a folder: `load`, `tcp_echo`, `udp_echo` and, with Go, `go_echo`.

    :raise BenchError: if a C compiler is missing, or a compiler fails.
    """
    if shutil.which("gcc") is None:
        message = "gcc, which builds the load, is not installed (apt-get install gcc libc6-dev)"
        raise BenchError(message)
    _run(*_C, str(folder / "load"), *map(str, sorted((HERE / "load").glob("*.c"))))
    for name in ("tcp_echo", "udp_echo"):
        _run(*_C, str(folder / name), str(HERE / "contenders" / f"{name}.c"))
    if shutil.which("go") is not None:
        _run("go", "build", "-o", str(folder / "go_echo"), str(HERE / "contenders/go/echo.go"))


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        message = f"{' '.join(words)}:\n{done.stderr}"
        raise BenchError(message)
