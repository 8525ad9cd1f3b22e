"""SIGHUP reloads, or shuts down if the terminal is gone."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.testing import MemoryReactorClock

from sockd.process.hangup import Hangups, Origin
from sockd.reactor import IReactor
from tests.clients import ask
from tests.conftest import ToolFinder
from tests.harness import DEADLINE, TWISTD, environment_for, wait_until

KERNEL = Origin(is_kernel=True, sender=0)
SHELL = Origin(is_kernel=False, sender=1000)
ANOTHER = Origin(is_kernel=False, sender=2000)


class Bench:
    """Hangups of a process whose terminal a test takes away."""

    def __init__(self) -> None:
        self.terminal = True
        self.calls: list[str] = []
        self.reactor = MemoryReactorClock()
        self._hangups = Hangups(
            cast(IReactor, self.reactor),
            lambda: self.terminal,
            (SHELL.sender,),
            lambda: self.calls.append("reload"),
            lambda: self.calls.append("end"),
        )
        self.follow = self._hangups.follow

    def begin(self) -> None:
        """Let the reactor run."""
        self._hangups.install()
        self.reactor.run()


@pytest.fixture
def bench() -> Iterator[Bench]:
    before = signal.getsignal(signal.SIGHUP)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield Bench()
    signal.signal(signal.SIGHUP, before)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.mark.parametrize("origin", [SHELL, ANOTHER, None])
def test_every_signal_reloads_while_the_terminal_is_there(
    bench: Bench, origin: Origin | None
) -> None:
    bench.begin()
    bench.follow(origin)
    bench.follow(origin)
    assert bench.calls == ["reload", "reload"]


@pytest.mark.parametrize("origin", [SHELL, ANOTHER, None])
def test_every_signal_reloads_where_there_has_never_been_a_terminal(
    bench: Bench, origin: Origin | None
) -> None:
    bench.terminal = False
    bench.begin()
    bench.follow(origin)
    assert bench.calls == ["reload"]


@pytest.mark.parametrize("origin", [KERNEL, SHELL, None])
def test_the_signal_of_a_terminal_that_is_gone_ends_the_daemon(
    bench: Bench, origin: Origin | None
) -> None:
    bench.begin()
    bench.terminal = False
    bench.follow(origin)
    assert bench.calls == ["end"]


def test_the_signal_of_another_process_reloads_though_the_terminal_is_gone(bench: Bench) -> None:
    bench.begin()
    bench.terminal = False
    bench.follow(ANOTHER)
    assert bench.calls == ["reload"]


@pytest.mark.parametrize(
    ("origin", "calls"), [(KERNEL, []), (SHELL, []), (ANOTHER, ["reload"]), (None, ["reload"])]
)
def test_with_nohup_nothing_ends_the_daemon(
    bench: Bench, origin: Origin | None, calls: list[str]
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    bench.begin()
    bench.terminal = False
    bench.follow(origin)
    assert bench.calls == calls


LEADER = """if True:
    import os, signal, sys
    mode, *words = sys.argv[1:]
    job = os.fork()
    if not job:
        os.setpgid(0, 0)
        os.execv(words[0], words)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    if mode == "foreground":
        while os.getpgid(job) != job:
            pass
        os.tcsetpgrp(0, job)
    if mode == "tells its job":
        signal.signal(signal.SIGHUP, lambda *_: os.kill(job, signal.SIGHUP))
    signal.pause()
"""
"""The leader of a terminal's session, as a shell is, with a daemon as its job."""


class Seat:
    """A terminal, with a daemon at it that may outlive it.

    :param mode: how the daemon is run: by itself, or as a job of :data:`LEADER`.
    """

    def __init__(self, folder: Path, mode: str, *before: str) -> None:
        self._log, ini = folder / "log", folder / "lab.ini"
        listen = f"[service:s]\nkind = multi\nlisten = unix:{folder}/lab.sock\n"
        ini.write_text(listen, encoding="utf-8")
        self.socket = folder / "lab.sock"
        words = [TWISTD, "--rundir", str(folder), "--logfile", str(self._log)]
        words = [*before, *words, "-n", "sockd", "-c", str(ini)]
        if mode != "by itself":
            words = [sys.executable, "-c", LEADER, mode, *words]
        self._leader, self._terminal = pty.fork()
        if self._leader == 0:
            os.chdir(folder)  # nohup writes its output where it is
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
            os.execve(words[0], words, environment_for(folder))  # noqa: S606 - it is the child
        self.pid = int(self.wait_for(r"\[sockd\] sockd .* process (\d+)")[1])

    @property
    def log(self) -> str:
        """The text of the log."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match of a pattern in the log."""
        found = wait_until(lambda: re.search(pattern, self.log), pattern)
        assert found is not None
        return found

    def close(self) -> None:
        """Close the terminal, and wait for the end of its session's leader."""
        os.close(self._terminal)
        if self.pid != self._leader:
            wait_until(lambda: waited(self._leader), "the leader ends")

    def ends(self) -> None:
        """Wait until the daemon has ended in order."""
        if self.pid == self._leader:
            _, status = wait_until(lambda: waited(self.pid)) or (0, 0)
            assert os.waitstatus_to_exitcode(status) == 0
        self.wait_for(r"Server Shut Down")
        assert not self.socket.exists()
        assert "Traceback" not in self.log


@pytest.mark.parametrize("mode", ["foreground", "tells its job"])
def test_a_job_ends_in_order_with_its_terminal(tmp_path: Path, mode: str) -> None:
    seat = Seat(tmp_path, mode)
    seat.close()
    seat.wait_for("The terminal is gone")
    seat.ends()


def test_a_daemon_that_has_lost_its_terminal_before_reloads(tmp_path: Path) -> None:
    """As one does that was sent to the background and disowned."""
    seat = Seat(tmp_path, "background")
    seat.close()
    for _ in range(2):
        told = seat.log.count("Reloaded")
        os.kill(seat.pid, signal.SIGHUP)
        wait_until(lambda told=told: seat.log.count("Reloaded") > told)  # type: ignore[misc]
    os.kill(seat.pid, signal.SIGTERM)
    seat.ends()


@pytest.mark.parametrize("mode", ["by itself", "foreground", "tells its job"])
def test_with_nohup_a_daemon_outlives_its_terminal_and_reloads(
    tmp_path: Path, tool: ToolFinder, mode: str
) -> None:
    seat = Seat(tmp_path, mode, tool("nohup", "coreutils"))
    seat.close()
    seat.wait_for("The terminal is gone; .* keeps running")
    assert "Reloaded" not in seat.log
    os.kill(seat.pid, signal.SIGHUP)
    seat.wait_for("Reloaded")
    os.kill(seat.pid, signal.SIGTERM)
    seat.ends()


def test_a_daemon_in_the_foreground_ends_in_order_with_its_terminal(tmp_path: Path) -> None:
    ini = tmp_path / "lab.ini"
    ini.write_text("[service:s]\nkind = multi\nlisten = unix:lab.sock\n", encoding="utf-8")
    pid, terminal = pty.fork()
    if pid == 0:
        command = [TWISTD, "--rundir", str(tmp_path), "-n", "sockd", "-c", str(ini)]
        os.execve(TWISTD, command, environment_for(tmp_path))  # noqa: S606 - it is the child
    said = b""
    while b"[sockd] sockd" not in said:
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
    wait_until(lambda: log.exists() and "[sockd] sockd" in log.read_text(encoding="utf-8"))
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
