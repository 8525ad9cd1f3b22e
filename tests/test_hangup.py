"""SIGHUP reloads, whenever it comes; only where the terminal is gone does the daemon end."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.testing import MemoryReactorClock

from sockd.hangup import Hangups
from sockd.reactor import IReactor
from tests.harness import TWISTD, environment_for, wait_until


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


def waited(pid: int) -> tuple[int, int] | None:
    """Return a child and its status once it has ended."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return (done, status) if done else None
