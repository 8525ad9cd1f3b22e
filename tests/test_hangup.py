"""SIGHUP reloads, whenever it comes; only where the terminal is gone does the daemon end."""

from __future__ import annotations

import os
import pty
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.testing import MemoryReactorClock

from sockd.process.hangup import Hangups
from sockd.reactor import IReactor
from tests.clients import ask
from tests.harness import DEADLINE, TWISTD, environment_for, wait_until


class Reactor(MemoryReactorClock):
    """A reactor that calls at once what a thread, or a handler, asks for."""

    def callFromThread(self, call: object, *arguments: object, **named: object) -> None:
        """Call."""
        assert callable(call)
        call(*arguments, **named)


class Bench:
    """Hangups of a process whose terminal a test takes away."""

    def __init__(self) -> None:
        self.terminal = True
        self.calls: list[str] = []
        self.reactor = Reactor()  # type: ignore[no-untyped-call]
        self.hangups = Hangups(lambda: self.terminal)
        self.hangups.install()

    def begin(self) -> None:
        """Let the reactor run."""
        self.hangups.begin(
            cast(IReactor, self.reactor),
            lambda: self.calls.append("reload"),
            lambda: self.calls.append("end"),
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    before = signal.getsignal(signal.SIGHUP)
    yield Bench()
    signal.signal(signal.SIGHUP, before)


def test_a_signal_that_comes_before_the_reactor_runs_is_kept(bench: Bench) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    assert bench.calls == []
    bench.begin()
    assert bench.calls == ["reload"]


def test_every_signal_reloads(bench: Bench) -> None:
    bench.terminal = False
    bench.begin()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGHUP)
    assert bench.calls == ["reload", "reload"]


def test_where_the_terminal_is_gone_the_daemon_ends(bench: Bench) -> None:
    bench.begin()
    bench.terminal = False
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGHUP)
    assert bench.calls == ["end"]


def test_a_daemon_in_the_foreground_ends_in_order_with_its_terminal(tmp_path: Path) -> None:
    ini = tmp_path / "lab.ini"
    ini.write_text("[service:s]\nkind = multi\nlisten = unix:lab.sock\n", encoding="utf-8")
    pid, terminal = pty.fork()
    if pid == 0:
        command = [TWISTD, "--rundir", str(tmp_path), "-n", "sockd", "-c", str(ini)]
        os.execve(TWISTD, command, environment_for(tmp_path))  # noqa: S606 - it is the child
    said = b""
    while b"Daemon#info] sockd" not in said:
        said += os.read(terminal, 65536)
    os.close(terminal)
    done, status = wait_until(lambda: waited(pid)) or (0, 0)
    assert (done, os.waitstatus_to_exitcode(status)) == (pid, 0)
    assert not (tmp_path / "lab.sock").exists()


def test_a_signal_ends_the_draining_that_a_lost_terminal_began(tmp_path: Path) -> None:
    ini, log = tmp_path / "lab.ini", tmp_path / "log"
    listen = "[service:s]\nkind = multi\nlisten = unix:lab.sock\n"
    ini.write_text(f"[sockd]\ndrain = 1h\n{listen}", encoding="utf-8")
    pid, terminal = pty.fork()
    if pid == 0:
        words = ["--rundir", str(tmp_path), "--logfile", str(log), "-n", "sockd", "-c", str(ini)]
        os.execve(TWISTD, [TWISTD, *words], environment_for(tmp_path))  # noqa: S606 - it is the child
    wait_until(lambda: log.exists() and "Daemon#info] sockd" in log.read_text(encoding="utf-8"))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(str(tmp_path / "lab.sock"))
        assert ask(client, b"x") == b"x"
        os.close(terminal)
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: "Draining" in log.read_text(encoding="utf-8"))
        os.kill(pid, signal.SIGTERM)
        assert client.recv(1) == b""
    done, status = wait_until(lambda: waited(pid)) or (0, 0)
    assert (done, os.waitstatus_to_exitcode(status)) == (pid, 0)
    assert "Traceback" not in log.read_text(encoding="utf-8")


def waited(pid: int) -> tuple[int, int] | None:
    """Return a child and its status once it has ended."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return (done, status) if done else None
