"""What is printed or logged is escaped where the encoding cannot represent it, and never lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import syslog
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from twisted.logger import FileLogObserver, Logger

from sockd.process.log_encoding import log_observer
from sockd.process.log_file import log_file
from tests.clients import ask
from tests.conftest import RunSockd
from tests.harness import DEADLINE, TWISTD, Sockd, environment_for, wait_until
from tests.test_admin_telnet import Wire

if TYPE_CHECKING:
    from sockd.reactor import IReactor

ASCII = {
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
}
ENCODINGS = {**ASCII, "latin-1": {"PYTHONIOENCODING": "latin-1"}, "UTF-8": {"LC_ALL": "C.UTF-8"}}
NO_REACTOR = cast("IReactor", None)
"""For what asks the reactor for nothing in a test."""

UNIX = "[service:s]\nkind = multi\nlisten = unix:{}.sock\n"


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [TWISTD, *words],
        cwd=folder,
        env=environment_for(folder, environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.parametrize("locale", ASCII)
def test_check_escapes_what_the_terminal_does_not_have(tmp_path: Path, locale: str) -> None:
    (tmp_path / "sockd.ini").write_text(UNIX.format("s\u00f3"), encoding="utf-8")
    done = run(tmp_path, "-n", "sockd", "-c", "sockd.ini", "--check", **ASCII[locale])
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"s: multi on unix:s\\xf3.sock, reply echo\n"


@pytest.mark.parametrize("options", [("--check",), ()], ids=["check", "run"])
@pytest.mark.parametrize("locale", ASCII)
def test_an_error_is_escaped_too(tmp_path: Path, locale: str, options: tuple[str, ...]) -> None:
    (tmp_path / "sockd.ini").write_text("[s\u00f3]\n", encoding="utf-8")
    done = run(tmp_path, "-n", "sockd", "-c", "sockd.ini", *options, **ASCII[locale])
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"sockd.ini:1: [s\\xf3]: unknown section 's\\xf3' (")


@pytest.mark.parametrize(("locale", "shown"), [("ascii", rb"\xf3"), ("latin-1", b"\xf3")])
def test_an_endpoint_that_cannot_be_bound_is_told_in_the_encoding_of_the_terminal(
    tmp_path: Path, locale: str, shown: bytes
) -> None:
    (tmp_path / "sockd.ini").write_text(UNIX.format("s\u00f3/lab"), encoding="utf-8")
    done = run(tmp_path, "-n", "sockd", "-c", "sockd.ini", **ENCODINGS[locale])
    assert done.returncode == 1
    assert b"unix:s%b/lab.sock cannot be bound: " % shown in done.stderr


@pytest.mark.parametrize("locale", ENCODINGS)
def test_a_refused_login_is_in_the_log_whatever_the_name(run_sockd: RunSockd, locale: str) -> None:
    name = "\u2603evil"
    admin = "[admin]\nssh =\ntelnet = tcp:0:interface=127.0.0.1\n"
    sockd = run_sockd(UNIX.format("lab") + admin, environment=ENCODINGS[locale])
    with Wire(int(sockd.wait_for(r"telnet 127\.0\.0\.1 (\d+)")[1])) as wire:
        wire.log_in(name.encode(), b"wrong")
        wire.until(b"Login incorrect")
    shown = name if locale == "UTF-8" else r"\u2603evil"
    sockd.wait_for(
        rf"Admin login refused: {re.escape(shown)} from 127\.0\.0\.1:\d+ over telnet, password$"
    )


@contextmanager
def daemon(folder: Path) -> Iterator[int]:
    """Run sockd in the background, with its files in a folder; give its process."""
    done = run(folder, "--pidfile", "lab.pid", "--logfile", "lab.log", "sockd", "-c", "sockd.ini")
    assert done.returncode == 0, done.stderr
    pid = int((folder / "lab.pid").read_text())
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not (folder / "lab.pid").exists())


def folder_in(path: Path) -> Path:
    """Make a folder whose name is text in no encoding of Unicode."""
    folder = path / os.fsdecode(b"lab\xff")
    folder.mkdir()
    (folder / "sockd.ini").write_text(UNIX.format("lab"), encoding="utf-8")
    return folder


def test_a_name_that_is_no_text_is_escaped_in_the_log_file(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    with daemon(folder):
        wait_until(lambda: "process" in (folder / "lab.log").read_text("utf-8"))
    log = (folder / "lab.log").read_text("utf-8")
    escaped = re.escape(str(tmp_path)) + r"/lab\\xff/lab\.sock"
    assert re.search(rf"s  nc -U {escaped}$", log, re.MULTILINE)
    assert re.search(rf"\(UNIX Port {escaped} Closed\)$", log, re.MULTILINE)


def test_a_name_that_is_no_text_is_escaped_on_standard_output(tmp_path: Path) -> None:
    ini, environment = UNIX.format("lab"), {"LC_ALL": "C.UTF-8"}
    with Sockd(ini, folder_in(tmp_path), environment=environment) as sockd:
        sockd.wait_for(r"s  nc -U \S+/lab\\xff/lab\.sock$")
        assert sockd.stop() == 0
        sockd.wait_for(r"\(UNIX Port \S+/lab\\xff/lab\.sock Closed\)$")


def test_syslog_gets_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda priority, text: sent.append(text))
    observer = log_observer({"syslog": True, "prefix": "sockd"}, None)
    assert observer is not None
    Logger("sockd", observer=observer).info("{name}", name="\u2603\udcff")
    assert [text.rpartition("] ")[2] for text in sent] == ["\u2603\\udcff"]


@pytest.mark.parametrize(
    "twistd",
    [
        {},
        {"nodaemon": True},
        {"nodaemon": True, "logfile": "-"},
        {"logfile": "-"},
        {"logger": "my.observer", "logfile": "lab.log"},
    ],
)
def test_where_twistd_loses_nothing_it_logs_itself(twistd: dict[str, object]) -> None:
    assert log_observer(twistd, log_file(twistd)) is None


def test_a_daemon_logs_into_twistds_default_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    twistd = {"nodaemon": 0}
    assert isinstance(log_observer(twistd, log_file(twistd)), FileLogObserver)
    assert (tmp_path / "twistd.log").read_bytes() == b""


def test_a_file_name_that_the_locale_lacks_is_in_utf_8(run_sockd: RunSockd) -> None:
    daemon_and_admin = "[sockd]\nstate = s\u00f3\n[admin]\nssh = unix:x\u00f3\n"
    ini = daemon_and_admin + UNIX.format("l\u00f3")
    sockd = run_sockd(ini, environment=ASCII["C locale"])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(sockd.folder / "l\u00f3.sock"))
        assert ask(client, b"hello") == b"hello"
    assert (sockd.folder / "s\u00f3" / "ssh_host_ed25519_key").exists()
    assert (sockd.folder / "x\u00f3").is_socket()
    assert sockd.stop() == 0
