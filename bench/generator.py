"""Runs the load generator and parses its output."""

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
"""The nice(2) value of the load that runs beside the client whose latency is measured."""


@dataclass(frozen=True)
class Load:
    """A result of the load generator; latencies are in microseconds.

    :ivar messages: the messages completed in the measured time.
    :ivar total: the same, including the warm-up.
    :ivar lost: datagrams that were sent again.
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
        """Messages per second."""
        return self.messages / self.seconds


def parse(line: str) -> Load:
    """Parse a line of the load generator.

    :raise BenchError: if it is not valid.
    """
    try:
        said = json.loads(line)
        return Load(**{one.name: said[one.name] for one in fields(Load)})
    except (ValueError, KeyError, TypeError):
        message = f"the load generator said {line!r}"
        raise BenchError(message) from None


class Generator:
    """Starts load generators.

    :param program: the path of the load generator.
    :param warm_up: the duration of the warm-up, in seconds.
    :param seconds: the duration of the measurement, in seconds.
    """

    def __init__(self, program: Path, warm_up: float, seconds: float) -> None:
        self._program = program
        self._times = (f"-w{warm_up}", f"-t{seconds}")

    def run(self, mode: str, port: int, clients: int, size: int) -> Load:
        """Return the result of a run.

        :raise BenchError: if the server fails.
        """
        words = (*self._command(mode, port, clients), f"-s{size}", *self._times)
        done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise BenchError(done.stderr.strip())
        return parse(done.stdout)

    @contextmanager
    def holding(self, mode: str, port: int, clients: int) -> Iterator[None]:
        """Keep a number of clients connected while the context lasts.

        :raise BenchError: if they cannot connect, or lose their connections.
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
