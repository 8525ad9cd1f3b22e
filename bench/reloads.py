"""``python -m bench.reloads``: the latency of clients while a daemon with many endpoints reloads.

Two clients use a service that no scenario changes. One echoes on an open connection, the other
opens a connection for each byte.
"""

from __future__ import annotations

import argparse
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench.errors import BenchError
from bench.measure import percentile
from bench.table import number, table

_HOST = "127.0.0.1"
_PROBED = 9_990
_TAKEN = 9_991
_FIRST = 10_000
_DEADLINE = 60.0
"""How long a start or a reload may take, in seconds."""

_PAUSE = 0.0005
"""The time between two echoes, in seconds."""

_FOLLOWED = "Reloaded: kept"
_REFUSED = "Nothing was changed"
_HEADINGS = (
    *("reload", "took ms", "echoes", "p50 ms", "p99 ms", "longest ms"),
    *("connections", "p99 ms", "longest ms"),
)

Ports = dict[int, Sequence[int]]
"""The ports of each service, by its number."""


@dataclass(frozen=True)
class Scenario:
    """A reload.

    :ivar change: returns the sections after it.
    :ivar last: the log message at its end; empty: no reload.
    """

    name: str
    change: Callable[[Ports], str]
    last: str = _FOLLOWED


class Probe:
    """A client that exchanges bytes, one at a time, in its own thread."""

    def __init__(self, exchange: Callable[[], None]) -> None:
        self._exchange = exchange
        self._is_over = False
        self._exchanges: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Probe:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread."""
        self._is_over = True
        self._thread.join()

    def during(self, began: float, ended: float) -> list[float]:
        """Return the duration of each exchange that overlaps a period, in milliseconds."""
        while not self._exchanges or self._exchanges[-1][1] < ended:
            time.sleep(_PAUSE)
        return [1000 * (b - a) for a, b in tuple(self._exchanges) if b > began and a < ended]

    def _run(self) -> None:
        while not self._is_over:
            began = time.perf_counter()
            self._exchange()
            self._exchanges.append((began, time.perf_counter()))
            time.sleep(_PAUSE)


class Daemon:
    """A sockd that reloads.

    :param folder: its working directory.
    :ivar started_in: the duration of the start, in seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "sockd.ini"
        self._log = folder / "sockd.log"
        self.started_in = 0.0

    @contextmanager
    def running(self, text: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, and stop it at the end of the context."""
        self._write(text)
        twistd = Path(sys.executable).with_name("twistd")
        words = [str(twistd), "-n", "--pidfile=", "sockd", "-c", str(self._file)]
        began = time.perf_counter()
        with (
            self._log.open("wb") as log,  # a log file of twistd's would be rotated
            subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT) as process,
        ):
            try:
                self.started_in = self._wait_for(f", process {process.pid}", 0) - began
                yield process
            finally:
                process.send_signal(signal.SIGTERM)

    def reload(self, process: subprocess.Popen[bytes], text: str, last: str) -> tuple[float, float]:
        """Reload with another file; return the times of the beginning and the end.

        :param last: the log message at the end.
        """
        self._write(text)
        since = self._log.stat().st_size
        began = time.perf_counter()
        process.send_signal(signal.SIGHUP)
        return began, self._wait_for(last, since)

    def _write(self, text: str) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._file)

    def _wait_for(self, words: str, since: int) -> float:
        end = time.perf_counter() + _DEADLINE
        said = ""
        while time.perf_counter() < end:
            if self._log.exists():
                said = self._log.read_bytes()[since:].decode()
            if words in said:
                return time.perf_counter()
            if _REFUSED in said:
                break
            time.sleep(0.005)
        message = f"the daemon did not say {words!r}: {said[-2000:]}"
        raise BenchError(message)


def service(name: object, ports: Sequence[int], **options: object) -> str:
    """Return a section."""
    listen = ",\n    ".join(f"tcp:{port}:interface={_HOST}" for port in ports)
    given = {"kind": "multi", "max_connections": 8, "listen": listen} | options
    lines = [f"{option} = {value}" for option, value in given.items()]
    return "\n".join([f"[service:{name}]", *lines, ""])


def services(ports: Ports, **options: object) -> str:
    """Return the sections of services."""
    return "".join(service(f"s{name}", own, **options) for name, own in ports.items())


def reversed_among(ports: Ports) -> str:
    """Return the sections with the ports of each service moved to another one."""
    others = zip(ports, reversed(ports.values()), strict=True)
    return services(dict(others))


def one_changed(ports: Ports) -> str:
    """Return the sections with a changed option in the first one."""
    (name, own), *rest = ports.items()
    return service(f"s{name}", own, idle_timeout="1h") + services(dict(rest))


def scenarios(ports: Ports, count: int) -> list[Scenario]:
    """Return the reloads.

    :param count: the number of endpoints to add and remove.
    """
    each = len(ports[0])
    first = _FIRST + each * len(ports)
    added = dict(ports) | laid_out(count // each, each, first, len(ports))
    left = dict(list(ports.items())[: len(ports) - count // each])
    taken = service("taken", [_TAKEN])
    return [
        Scenario("none, for two seconds", services, last=""),
        Scenario("nothing changed", services),
        Scenario("one service changed", one_changed),
        Scenario("every service changed", lambda all_: services(all_, idle_timeout="1h")),
        Scenario("ports swapped", reversed_among),
        Scenario(f"{count} endpoints added", lambda _: services(added)),
        Scenario(f"{count} endpoints removed", lambda _: services(left)),
        Scenario("refused, added", lambda _: services(added) + taken, last=_REFUSED),
        Scenario("refused, an error", lambda all_: services(all_) + "[x]\n", last=_REFUSED),
    ]


def laid_out(count: int, each: int, first: int = _FIRST, number: int = 0) -> Ports:
    """Return the ports of services.

    :param each: the number of ports of a service.
    :param first: the first port.
    :param number: the number of the first service.
    """
    return {number + i: range(first + i * each, first + (i + 1) * each) for i in range(count)}


@contextmanager
def probes() -> Iterator[tuple[Probe, Probe]]:
    """Run both clients."""

    def connect() -> None:
        with socket.create_connection((_HOST, _PROBED), _DEADLINE) as another:
            _echo(another)

    with (
        socket.create_connection((_HOST, _PROBED), _DEADLINE) as client,
        Probe(partial(_echo, client)) as open_,
        Probe(connect) as new,
    ):
        yield open_, new


def _echo(client: socket.socket) -> None:
    client.sendall(b"x")
    if client.recv(1) != b"x":
        message = "the connection was closed"
        raise BenchError(message)


def measured(scenario: Scenario, ports: Ports, rounds: int) -> list[str]:
    """Return the row of a scenario."""
    always = service("probed", [_PROBED], max_connections=100)
    before, after = always + services(ports), always + scenario.change(ports)
    took: list[float] = []
    waits: tuple[list[list[float]], list[list[float]]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, socket.socket() as taken:
        taken.bind((_HOST, _TAKEN))
        daemon = Daemon(Path(folder))
        with daemon.running(before) as process, probes() as clients:
            for probe in clients:  # while the daemon still writes its banner they wait
                probe.during(0.0, time.perf_counter())
            for _ in range(rounds):
                began, ended = _done(daemon, process, after, scenario.last)
                took.append(1000 * (ended - began))
                for mine, probe in zip(waits, clients, strict=True):
                    mine.append(probe.during(began, ended))
                if scenario.last == _FOLLOWED:
                    daemon.reload(process, before, _FOLLOWED)
    return [scenario.name, number(median(took)), *_figures(waits[0], 0.5), *_figures(waits[1])]


def _done(
    daemon: Daemon, process: subprocess.Popen[bytes], text: str, last: str
) -> tuple[float, float]:
    """Reload, or wait for two seconds; return the times of the beginning and the end."""
    if last:
        return daemon.reload(process, text, last)
    began = time.perf_counter()
    time.sleep(2)
    return began, time.perf_counter()


def _figures(rounds: list[list[float]], *fractions: float) -> list[str]:
    waits = [wait for one in rounds for wait in one]
    values = [percentile(waits, fraction) for fraction in (*fractions, 0.99)]
    return [str(len(waits)), *map(number, values), number(median(map(max, rounds)))]


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table; return the exit status."""
    reader = argparse.ArgumentParser(prog="python -m bench.reloads", description=__doc__)
    reader.add_argument("--services", type=int, default=500, help="how many (%(default)s)")
    reader.add_argument("--each", type=int, default=8, help="endpoints of each (%(default)s)")
    reader.add_argument("--rounds", type=int, default=3, help="repetitions (%(default)s)")
    reader.add_argument(
        "--only", default="", metavar="WORD", help="scenarios with this in the name"
    )
    given = reader.parse_args(words)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ports = laid_out(given.services, given.each)
    todo = scenarios(ports, given.services * given.each // 4)
    rows = [measured(one, ports, given.rounds) for one in todo if given.only in one.name]
    sys.stdout.write(table([_HEADINGS, *rows]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
