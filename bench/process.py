"""Runs a server in its own process, on its own core."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from bench import proc
from bench.build import HERE
from bench.cores import on
from bench.errors import BenchError
from bench.servers import Contender

_DEADLINE = 30.0
"""How long a server may take to answer, and to end, in seconds."""

_FAREWELL = 1.0
"""How long a server's child processes may take to end after their clients, in seconds."""

_PAUSE = 0.001
"""The interval at which a starting server is polled, in seconds."""

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


class Server:
    """A running contender, as a context manager.

    :param transport: ``tcp`` or ``udp``.
    :param built: the folder of the compiled programs.
    :param folder: its working directory.
    :param core: the core that it runs on.
    """

    def __init__(
        self, contender: Contender, transport: str, built: Path, folder: Path, core: int
    ) -> None:
        self.contender = contender
        self.port = contender.port(transport)
        self.started_in = 0.0
        self._transport = transport
        self._said = folder / "said"
        self._folder = folder
        self._core = core
        self._templates = {
            "port": self.port,
            "stream_port": contender.stream_port,
            "datagram_port": contender.datagram_port,
            "stats_port": contender.stats,
            "transport": transport,
            "python": sys.executable,
            "twistd": Path(sys.executable).with_name("twistd"),
            "built": built,
            "here": HERE / "contenders",
            "project": HERE.parent,
            "folder": folder,
            "user": getpass.getuser(),
        }

    def __enter__(self) -> Server:
        """Start it, and wait for its first answer; sets ``started_in``, in seconds.

        :raise BenchError: if the port is in use, or the server does not answer.
        """
        _demand_free(self._transport, self.port)
        for name, template in self.contender.files:
            (self._folder / name).write_text(self._filled(template), encoding="utf-8")
        began = time.monotonic()
        self._process = self._start()
        try:
            self._wait_for_answer(began + _DEADLINE)
        except BaseException:
            self._end()
            raise
        self.started_in = time.monotonic() - began
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._end()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return its CPU time, after the child processes of disconnected clients have ended."""
        end = time.monotonic() + _FAREWELL
        while proc.children(self.pid) and time.monotonic() < end:
            time.sleep(_PAUSE)
        return proc.cpu_seconds(self.pid)

    def _filled(self, template: str) -> str:
        return template.format_map(self._templates)

    def _start(self) -> subprocess.Popen[bytes]:
        with on(self._core), self._said.open("wb") as said:
            return subprocess.Popen(
                list(map(self._filled, self.contender.command)),
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        """Return the environment, without variables that prevent cached bytecode."""
        own = {name: self._filled(text) for name, text in self.contender.environment}
        kept = {name: text for name, text in os.environ.items() if name != _NO_BYTECODE}
        return {**kept, **own}

    def _wait_for_answer(self, end: float) -> None:
        while not _answers(self._transport, self.port, self.contender.hello):
            if self._process.poll() is not None or time.monotonic() > end:
                message = f"it does not answer at port {self.port}: {self._last_words()}"
                raise BenchError(message)
            time.sleep(_PAUSE)

    def _last_words(self) -> str:
        logs = [self._said, *self._folder.glob("*.log")]
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return lines[-1] if lines else "it said nothing"

    def _end(self) -> None:
        """Stop the whole session: some servers have a process for each client."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all have ended already
            os.killpg(self.pid, number)


def _demand_free(transport: str, port: int) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(type=kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, transport == "tcp")
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"{transport} port {port} cannot be used: {error.strerror}"
            raise BenchError(message) from None


def _answers(transport: str, port: int, hello: bytes) -> bool:
    """Return whether the server sends a first byte."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(type=kind) as client:
        client.settimeout(_DEADLINE if transport == "tcp" else 0.02)
        try:
            client.connect(("127.0.0.1", port))
            client.send(hello)
            return client.recv(1) != b""
        except OSError:
            return False
