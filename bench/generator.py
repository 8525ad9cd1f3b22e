"""Runs the load generator and reads what it says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, cast

from bench.errors import BenchError

_KIND = 10
"""How much a flood gives way to the client whose patience is measured: see nice(2)."""


@dataclass(frozen=True)
class Load:
    """What the load generator has measured; latencies are in microseconds.

    :ivar messages: those that ended while it measured.
    :ivar total: those of the warm-up too.
    :ivar lost: datagrams that had to be sent again.
    """

    seconds: float
    messages: int
    total: int
    lost: int
    p50: float
    p90: float
    p99: float
    max: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def parse(line: str) -> Load:
    """Return what a line of the load generator says.

    :raise BenchError: if it is none.
    """
    try:
        said = json.loads(line)
        return Load(**{one.name: said[one.name] for one in fields(Load)})
    except (ValueError, KeyError, TypeError):
        message = f"the load generator said {line!r}"
        raise BenchError(message) from None


class Generator:
    """Starts load generators.

    :param program: the load generator.
    :param warm_up: how long nothing is measured, in seconds.
    :param seconds: how long is measured.
    """

    def __init__(self, program: Path, warm_up: float, seconds: float) -> None:
        self._program = program
        self._times = (f"-w{warm_up}", f"-t{seconds}")

    def run(self, mode: str, port: int, clients: int, size: int) -> Load:
        """Return what it measures.

        :raise BenchError: if the server does not keep up its part.
        """
        words = (*self._command(mode, port, clients), f"-s{size}", *self._times)
        done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise BenchError(done.stderr.strip())
        return parse(done.stdout)

    @contextmanager
    def holding(self, mode: str, port: int, clients: int) -> Iterator[None]:
        """Keep up a company of clients, from when all are connected.

        :raise BenchError: if they cannot connect, or fall out with the server later.
        """
        with subprocess.Popen(
            self._command(mode, port, clients),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            os.setpriority(os.PRIO_PROCESS, process.pid, _KIND)
            try:
                if cast("IO[str]", process.stdout).readline():
                    yield
            except BaseException:
                process.kill()
                raise
            _, said = process.communicate()
        if process.returncode:
            raise BenchError(said.strip())

    def _command(self, mode: str, port: int, clients: int) -> tuple[str, ...]:
        return (str(self._program), mode, f"-p{port}", f"-c{clients}")
