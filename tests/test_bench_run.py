"""A small run of the benchmark: the C programs, sockd, and the table."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench import cores
from bench.build import build
from bench.errors import BenchError
from bench.generator import Generator
from bench.process import Server
from bench.servers import CONTENDERS, Contender
from bench.targets import TARGETS
from bench.works import Kind
from tests.conftest import ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import DEADLINE
from tests.namespaces import Host

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark is for Linux")

SIZES = [1_000, 5_000]
"""The load sends the first one by io_uring(7), where the system has it, and the other one by
system calls of its own."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ToolFinder()("gcc")
    folder = tmp_path_factory.mktemp("built")
    build(folder)
    return folder


@contextmanager
def served(kind: int, serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server of a test's own in a thread; return its port."""
    with socket.socket(type=kind) as server:
        server.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(DEADLINE)


def bench(*words: str, folder: Path, host: Host | None = None) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "bench", *words)
    return subprocess.run(
        host.command(*command) if host else command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        encoding="utf-8",
        timeout=4 * DEADLINE,
        check=False,
    )


@pytest.mark.parametrize("size", SIZES)
def test_an_echo_that_changes_a_byte_stops_the_measurement(built: Path, size: int) -> None:
    def spoil(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.send(client.recv(1))
            data = client.recv(size, socket.MSG_WAITALL)
            client.send(data[:-1] + b"\xff")
            client.recv(1)

    generator = Generator(built / "load", 0, 5)
    other = "what came back is not what was sent"
    with served(socket.SOCK_STREAM, spoil) as port, pytest.raises(BenchError, match=other):
        generator.run("tcp", port, clients=1, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_an_echo_in_pieces_is_one_message(built: Path, size: int) -> None:
    def cut(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(client.recv(1))
            while data := client.recv(size, socket.MSG_WAITALL):
                client.send(data[:10])
                client.sendall(data[10:])
                messages.append(data)

    messages: list[bytes] = []
    generator = Generator(built / "load", 0, 0.3)
    with served(socket.SOCK_STREAM, cut) as port:
        load = generator.run("tcp", port, clients=1, size=size)
    assert load.total == len(messages) > 0
    assert {len(data) for data in messages} == {size}


@pytest.mark.parametrize("size", SIZES)
def test_a_server_that_hangs_up_stops_the_measurement(built: Path, size: int) -> None:
    def hang_up(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.send(client.recv(1))

    generator = Generator(built / "load", 0, 5)
    with served(socket.SOCK_STREAM, hang_up) as port, pytest.raises(BenchError):
        generator.run("tcp", port, clients=1, size=size)


def test_a_lost_datagram_is_sent_again_and_counted(built: Path) -> None:
    enough = threading.Event()

    def lose_the_first(server: socket.socket) -> None:
        server.settimeout(0.05)
        first = server.recv(100)
        while not enough.is_set():
            try:
                data, peer = server.recvfrom(100)
            except TimeoutError:
                continue
            server.sendto(data, peer)
        assert len(first) == 64

    generator = Generator(built / "load", 0, 0.5)
    with served(socket.SOCK_DGRAM, lose_the_first) as port:
        load = generator.run("udp", port, clients=1, size=64)
        enough.set()
    assert load.lost >= 1
    assert load.messages > 0
    assert load.max >= 200_000  # the time-out is part of how long it took


def test_a_server_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = "import sys; sys.exit('no room here')"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    contender = Contender(
        "x", "X", frozenset({Kind.TCP}), ("{python}", "-c", program), stream_port=port
    )
    server = Server(contender, "tcp", tmp_path, tmp_path, min(os.sched_getaffinity(0)))
    with pytest.raises(BenchError, match=f"at port {port}: no room here"):
        server.__enter__()


def test_a_port_of_somebody_else_is_not_measured(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        contender = Contender("x", "X", frozenset({Kind.TCP}), ("true",), stream_port=port)
        server = Server(contender, "tcp", tmp_path, tmp_path, 0)
        with pytest.raises(BenchError, match=f"tcp port {port} cannot be used"):
            server.__enter__()


def test_one_core_is_too_few(tmp_path: Path) -> None:
    with cores.on(min(os.sched_getaffinity(0))):
        done = bench("--quick", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bench: two cores are needed, one for the server and one for the load\n"


def test_an_unknown_name_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = bench("--only", "tcp-64,sctp", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bench: no work is called sctp; see --help\n"


@pytest.mark.network
def test_a_quick_run_measures_sockd_against_the_c_server(
    wire: tuple[Host, Host], tool: ToolFinder, tmp_path: Path
) -> None:
    """On a host of its own, where the ports of ``config/bench.ini`` are free."""
    tool("gcc")
    works = ["tcp-64", "tcp-64k", "udp-64", "connect", "idle", "fair"]
    words = ("--quick", "--only", ",".join(works), "--json", "figures.json")
    done = bench(*words, folder=tmp_path, host=wire[0])
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert said["failures"] == []
    measured = {(sample["work"], sample["server"]) for sample in said["samples"]}
    assert measured == {(work, "sockd") for work in works} | {(work, "c") for work in works[:4]}
    for sample in said["samples"]:
        assert sample["server"] == "c" or sample["figures"].get("cpu", 1) > 0
        assert sample["figures"].get("lost", 0) == 0
    shown = [target for target in TARGETS if target.work in works and target.against in {"", "c"}]
    judged = [row for row in said["table"] if row["is_met"] is not None]
    assert len(judged) == len(shown)
    assert "| TCP 64 KiB, 16 clients " in done.stdout


@pytest.mark.network
def test_sockd_starts_with_each_reactor_that_it_is_measured_with(
    wire: tuple[Host, Host], tool: ToolFinder, tmp_path: Path
) -> None:
    tool("gcc")
    servers = [one.name for one in CONTENDERS if one.name.startswith("sockd")]
    servers = [name for name in servers if name != "sockd-uvloop" or find_spec("uvloop")]
    works = ("--only", "tcp-64,udp-64,start", "--servers", ",".join(servers), "--rounds", "1")
    done = bench(*works, "--seconds", "0.1", "--json", "all.json", folder=tmp_path, host=wire[0])
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert said["failures"] == []
    assert {sample["server"] for sample in said["samples"]} == {"sockd", "sockd-select", *servers}


@pytest.mark.network
def test_no_server_outlives_a_benchmark_that_is_ended(
    wire: tuple[Host, Host], tool: ToolFinder, tmp_path: Path
) -> None:
    tool("gcc")
    words = (sys.executable, "-m", "bench", "--only", "tcp-64", "--servers", "sockd,c")
    with subprocess.Popen(
        wire[0].command(*words),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("round 1  tcp-64  sockd")
        running.terminate()
        said = running.communicate(timeout=DEADLINE)[1]
    assert running.returncode == 130
    assert said.endswith("bench: interrupted\n")
    listening = wire[0].command("ss", "--no-header", "--listening", "--numeric", "--tcp")
    assert subprocess.run(listening, capture_output=True, check=True).stdout == b""


def test_every_server_has_what_it_is_started_with() -> None:
    words = " ".join(" ".join(contender.command) for contender in CONTENDERS)
    for script in (REPOSITORY / "bench" / "contenders").glob("[!_]*.py"):
        assert script.name in words
