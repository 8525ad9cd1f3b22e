"""SIGUSR1 reopens the log file, for programs that rotate logs."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import ask, connect
from tests.conftest import RunSockd
from tests.harness import run_twistd, wait_until

ONE = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"


class Background:
    """A daemon in the background, with a log file."""

    def __init__(self, folder: Path) -> None:
        self.log, self._pidfile = folder / "sockd.log", folder / "sockd.pid"
        self.log.touch()
        self.log.chmod(0o640)
        (folder / "lab.ini").write_text(ONE, encoding="utf-8")
        words = ("--pidfile", str(self._pidfile), "--logfile", "sockd.log", "--rundir", "/")
        done = run_twistd(*words, "sockd", "-c", "lab.ini", folder=folder)
        assert done.returncode == 0, done
        self.pid = int(self._pidfile.read_text(encoding="ascii"))
        self._port = int(self.wait_for(r"Bind \S+ \S+:(\d+) \(multi\)", self.log)[1])

    def wait_for(self, pattern: str, log: Path) -> re.Match[str]:
        """Return the first match in a log."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, log.read_text(encoding="utf-8")) if log.is_file() else None

        match = wait_until(found, pattern)
        assert match is not None
        return match

    def visit(self, log: Path) -> None:
        """Connect, and wait for the line about that in a log."""
        with connect(self._port) as client:
            assert ask(client, b"hello") == b"hello"
            self.wait_for(rf"Connected by \S+:{client.getsockname()[1]} ", log)

    def stop(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGTERM)
        wait_until(lambda: not self._pidfile.exists())


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    daemon = Background(tmp_path)
    yield daemon
    daemon.stop()


def test_a_log_file_that_was_renamed_is_opened_again(background: Background) -> None:
    log, old = background.log, background.log.with_suffix(".1")
    log.rename(old)
    background.visit(old)
    assert not log.exists()
    os.kill(background.pid, signal.SIGUSR1)
    background.wait_for("The log file .* was opened again", log)
    before = old.read_bytes()
    background.visit(log)
    assert old.read_bytes() == before
    assert log.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_there_already_keeps_its_mode_and_its_lines(background: Background) -> None:
    log = background.log
    log.rename(log.with_suffix(".1"))
    log.write_text("before\n", encoding="utf-8")
    log.chmod(0o600)
    os.kill(background.pid, signal.SIGUSR1)
    background.wait_for(r"\Abefore\n.*The log file .* was opened again", log)
    assert log.stat().st_mode & 0o777 == 0o600


def test_where_no_file_can_be_opened_the_log_stays_in_the_old_one(background: Background) -> None:
    log, old = background.log, background.log.with_suffix(".1")
    log.rename(old)
    log.mkdir()
    os.kill(background.pid, signal.SIGUSR1)
    background.wait_for("cannot be opened again: Is a directory; the log stays in the old", old)
    background.visit(old)
    assert "Traceback" not in old.read_text(encoding="utf-8")


def test_a_log_that_goes_elsewhere_is_left_alone(run_sockd: RunSockd) -> None:
    sockd = run_sockd(ONE)
    sockd.send_signal(signal.SIGUSR1)
    sockd.wait_for("SIGUSR1 was ignored: sockd has no log file to reopen")
    assert sockd.stop() == 0


@pytest.mark.parametrize("words", [("-n",), ()], ids=["foreground", "daemon"])
def test_a_log_file_that_cannot_be_opened_is_one_line(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "lab.ini").write_text(ONE, encoding="utf-8")
    options = ("--pidfile", "lab.pid", "--logfile", str(tmp_path))
    done = run_twistd(*options, *words, "sockd", "-c", "lab.ini", folder=tmp_path)
    assert done.returncode == 1
    message = f"{tmp_path}: the log file cannot be opened: Is a directory"
    assert done.stderr.splitlines()[-1] == message
