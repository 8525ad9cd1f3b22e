"""Runs a work on a server, and returns its figures."""

from __future__ import annotations

import json
import math
import resource
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import proc
from bench.cores import Cores
from bench.errors import BenchError
from bench.generator import Generator
from bench.process import Server
from bench.results import Failure, Outcome, Sample
from bench.servers import Contender
from bench.works import Kind, Work

_READERS = 3
"""The number of open live pages."""

_PATIENCE = 10.0
"""The timeout for the stats endpoint, in seconds."""


@dataclass(frozen=True)
class Settings:
    """The extent of a run.

    :ivar turns: turns in a round, for works in which servers take turns.
    :ivar warm_up: the duration of the warm-up, in seconds.
    :ivar seconds: the duration of each measurement in those works.
    :ivar long: the duration of each measurement in the others.
    :ivar idle: the number of idle connections.
    :ivar requests: the number of requests for ``/health``.
    """

    rounds: int = 5
    turns: int = 8
    warm_up: float = 0.15
    seconds: float = 0.15
    long: float = 0.8
    idle: int = 10_000
    requests: int = 200


QUICK = Settings(rounds=1, turns=2, warm_up=0.05, long=0.3, idle=500, requests=20)
"""A test run: its figures are not meaningful."""


class Measure:
    """Runs works on servers.

    :param built: the folder of the compiled programs.
    """

    def __init__(self, settings: Settings, built: Path, cores: Cores) -> None:
        self._settings = settings
        self._built = built
        self._cores = cores
        self._short = Generator(built / "load", settings.warm_up, settings.seconds)
        self._long = Generator(built / "load", settings.warm_up, settings.long)
        self._alone: dict[Kind, Callable[[Work, Server], dict[str, float]]] = {
            Kind.IDLE: self._idle,
            Kind.START: self._start,
            Kind.FAIR: self._fair,
            Kind.WATCHED: self._watched,
        }

    def outcomes(
        self, number: int, work: Work, contenders: Sequence[Contender]
    ) -> Iterator[Outcome]:
        """Run a work on all servers, for one round; yield the results."""
        if work.kind in self._alone:
            for contender in contenders:
                yield self._alone_with(number, work, contender)
        else:
            yield from self._side_by_side(number, work, contenders)

    def _alone_with(self, number: int, work: Work, contender: Contender) -> Outcome:
        try:
            with self._running(work, contender) as server:
                figures = self._alone[work.kind](work, server)
        except BenchError as error:
            return Failure(number, work.name, contender.name, str(error))
        return Sample(number, 1, work.name, contender.name, figures)

    def _side_by_side(
        self, number: int, work: Work, contenders: Sequence[Contender]
    ) -> Iterator[Outcome]:
        """Start all servers, then measure them in turns; the others are idle meanwhile.

        The order changes from turn to turn, and is the same in each run: some servers leave work to
        the kernel that slows down the next one.
        """
        order = Random(number)
        with ExitStack() as stack:
            servers: list[Server] = []
            for contender in contenders:
                try:
                    servers.append(stack.enter_context(self._running(work, contender)))
                except BenchError as error:
                    yield Failure(number, work.name, contender.name, str(error))
            for turn in range(1, self._settings.turns + 1):
                for server in order.sample(servers, len(servers)):
                    name = server.contender.name
                    try:
                        yield Sample(number, turn, work.name, name, self._load(work, server))
                    except BenchError as error:
                        servers.remove(server)
                        yield Failure(number, work.name, name, str(error))

    @contextmanager
    def _running(self, work: Work, contender: Contender) -> Iterator[Server]:
        transport = "udp" if work.kind is Kind.UDP else "tcp"
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            Server(contender, transport, self._built, Path(folder), self._cores.server) as server,
        ):
            yield server

    def _load(self, work: Work, server: Server) -> dict[str, float]:
        before = server.cpu_seconds()
        mode = work.kind.name.lower()
        load = self._short.run(mode, server.port, work.clients, work.size)
        cpu = server.cpu_seconds() - before
        return {
            "rate": load.rate,
            "cpu": 1e6 * cpu / load.total,
            "p50": load.p50,
            "p90": load.p90,
            "p99": load.p99,
            "max": load.max,
            "lost": load.lost,
        }

    def _idle(self, work: Work, server: Server) -> dict[str, float]:
        count = self._settings.idle
        _demand_descriptors(count + 100)
        without = self._long.run("tcp", server.port, work.clients, work.size)
        before = proc.memory_kib(server.pid)
        with self._long.holding("idle", server.port, count):
            _demand_active(server.contender, count)
            more = proc.memory_kib(server.pid) - before
            beside = self._long.run("tcp", server.port, work.clients, work.size)
        return {
            "kib_each": more / count,
            "beside": beside.rate / without.rate,
            "rate_without": without.rate,
            "rate_beside": beside.rate,
        }

    def _start(self, work: Work, server: Server) -> dict[str, float]:
        return {"start": server.started_in}

    def _fair(self, work: Work, server: Server) -> dict[str, float]:
        with self._long.holding("flood", server.port, work.clients):
            time.sleep(self._settings.warm_up)
            took = [_health(server.contender) for _ in range(self._settings.requests)]
        return {"health_p50": percentile(took, 0.5), "health_p99": percentile(took, 0.99)}

    def _watched(self, work: Work, server: Server) -> dict[str, float]:
        """Measure without and with readers alternately, because the speed of a machine varies."""
        without, beside = [], []
        for _ in range(self._settings.turns):
            without.append(self._short.run("connect", server.port, work.clients, work.size).rate)
            with ExitStack() as stack:
                for _ in range(_READERS):
                    stack.enter_context(_reading(server.contender, "/events"))
                load = self._short.run("connect", server.port, work.clients, work.size)
                beside.append(load.rate)
        return {
            "watched": sum(beside) / sum(without),
            "rate_without": sum(without) / len(without),
            "rate_beside": sum(beside) / len(beside),
        }


def percentile(values: list[float], fraction: float) -> float:
    """Return a percentile by the nearest-rank method."""
    return sorted(values)[math.ceil(fraction * len(values)) - 1]


def _demand_descriptors(count: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most < count:
        message = f"{count} descriptors are needed, the limit is {most} (ulimit -n)"
        raise BenchError(message)


def _demand_active(contender: Contender, count: int) -> None:
    """Check the number of connections, if the server reports it."""
    if contender.stats:
        services = json.loads(_get(contender, "/services"))["services"]
        active = sum(service["active"] for service in services)
        if active < count:
            message = f"{count} connections are open, {active} are shown"
            raise BenchError(message)


@contextmanager
def _reading(contender: Contender, path: str) -> Iterator[None]:
    """Read and discard an endless answer."""
    with socket.create_connection(("127.0.0.1", contender.stats), _PATIENCE) as reader:
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        if not reader.recv(65536).startswith(b"HTTP/1.1 200 "):
            message = f"{path}: no stream"
            raise BenchError(message)
        thread = threading.Thread(target=_read_to_end, args=(reader,))
        thread.start()
        yield
        reader.shutdown(socket.SHUT_RDWR)
        thread.join()


def _read_to_end(reader: socket.socket) -> None:
    while reader.recv(1 << 20):
        pass


def _health(contender: Contender) -> float:
    """Return the duration of a request on a new connection, in milliseconds."""
    began = time.monotonic()
    _get(contender, "/health")
    return 1000 * (time.monotonic() - began)


def _get(contender: Contender, path: str) -> bytes:
    url = f"http://127.0.0.1:{contender.stats}{path}"
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            body: bytes = answer.read()
    except OSError as error:
        message = f"{path}: {error}"
        raise BenchError(message) from None
    return body
