"""The command line: what it accepts, what it prints, and with which status it ends."""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import bcrypt
import pytest

import sockd
from sockd.process.privileges import WARNING, is_root
from tests.clients import LOOPBACK, ask, connect
from tests.conftest import RunSockd, ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import Sockd, run_twistd, wait_until

pytestmark = pytest.mark.dependencies

ONE = "[service:one]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
LAB = REPOSITORY / "config" / "lab.ini"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def two_services(first: int, second: int) -> str:
    """Return a file whose endpoints stand in lines 3 and 6."""
    return (
        f"[service:one]\nkind = tcp\nlisten = tcp:{first}:interface=127.0.0.1\n"
        f"[service:two]\nkind = multi\nlisten = tcp:{second}:interface=127.0.0.1\n"
    )


def taken_port() -> socket.socket:
    """Return a socket that listens, so that nobody else can have its port."""
    return socket.create_server((LOOPBACK, 0))


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def free_low_port() -> int:
    """Return a port below 1024 that nobody has now."""
    for number in range(600, 1024):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, number))
            return number
    raise AssertionError


def write(folder: Path, text: str) -> None:
    (folder / "sockd.ini").write_text(text, encoding="utf-8")


def process_in(file: Path) -> int:
    """Return the process that a pidfile names, ``0`` as long as it names none."""
    return int(file.read_text() or "0") if file.exists() else 0


def processes_about(file: Path) -> list[int]:
    """Return the processes that name a file on their command line (proc(5))."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(file) in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_check_prints_a_line_for_each_service(tmp_path: Path) -> None:
    with taken_port() as taken:
        write(tmp_path, two_services(port_of(taken), 0))
        done = run_twistd("-n", "sockd", "-c", "sockd.ini", "--check", folder=tmp_path)
        port = port_of(taken)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"one: tcp on tcp:{port}:interface=127.0.0.1, reply echo\n"
        "two: multi on tcp:0:interface=127.0.0.1, reply echo\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"sockd.ini"}


@pytest.mark.parametrize("options", [("--check",), ()], ids=["check", "run"])
def test_every_error_of_a_file_is_told_in_one_go(tmp_path: Path, options: tuple[str, ...]) -> None:
    write(tmp_path, ONE + "replies = many\n[sttats]\n[admin]\nusr = me\n")
    done = run_twistd("-n", "sockd", "-c", "sockd.ini", *options, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(": ")[0] for line in lines(done.stderr)] == [
        "sockd.ini:4",
        "sockd.ini:5",
        "sockd.ini:7",
    ]


def lines(text: str) -> list[str]:
    return text.splitlines()


@pytest.mark.parametrize("option", ["-c", "--config"])
def test_the_file_has_a_short_and_a_long_option(tmp_path: Path, option: str) -> None:
    write(tmp_path, ONE)
    done = run_twistd("-n", "sockd", option, "sockd.ini", "--check", folder=tmp_path)
    assert (done.returncode, done.stdout[:5]) == (0, "one: ")


def test_without_a_file_it_is_the_lab(tmp_path: Path) -> None:
    plain = run_twistd("-n", "sockd", "--check", folder=tmp_path)
    named = run_twistd("-n", "sockd", "--check", "-c", str(LAB), folder=tmp_path)
    assert plain.returncode == 0
    assert plain.stdout == named.stdout
    assert "simple-tcp: tcp on tcp:65432:interface=127.0.0.1, reply echo\n" in plain.stdout


@pytest.mark.parametrize("options", [("--check",), ()], ids=["check", "run"])
def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run_twistd("-n", "sockd", "-c", "nowhere.ini", *options, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nowhere.ini:1: the file cannot be read: No such file ")
    assert len(lines(done.stderr)) == 1


def test_missing_files_of_the_shell_are_told_with_the_other_errors(tmp_path: Path) -> None:
    (tmp_path / "lab.ini").write_text(
        ONE + "strp = yes\n[admin]\nssh = tcp:0:interface=127.0.0.1\npasswd = nowhere\n",
        encoding="utf-8",
    )
    done = run_twistd("-n", "sockd", "-c", "lab.ini", "--check", folder=tmp_path)
    first, second = done.stderr.splitlines()
    assert "strp: unknown option" in first
    assert "[admin] passwd: " in second
    assert "cannot be read: No such file" in second


def test_an_empty_name_is_not_the_lab(tmp_path: Path) -> None:
    done = run_twistd("-n", "sockd", "-c", "", "--check", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the file cannot be read" in done.stderr


def test_help_names_every_option(tmp_path: Path) -> None:
    done = run_twistd("sockd", "--help", folder=tmp_path)
    assert done.returncode == 0
    for option in ("-c, --config=", "--check", "--hash-password", "--version"):
        assert option in done.stdout


def test_version_is_that_of_sockd(tmp_path: Path) -> None:
    done = run_twistd("sockd", "--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"sockd {sockd.__version__}\n")


def test_an_unknown_option_is_an_error(tmp_path: Path) -> None:
    done = run_twistd("-n", "sockd", "--chekc", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sockd: option --chekc not recognized (see twistd sockd --help)\n"


def test_hash_password_reads_a_line_of_input(tmp_path: Path) -> None:
    done = run_twistd("-n", "sockd", "--hash-password", folder=tmp_path, stdin="sesame\nmore\n")
    assert (done.returncode, done.stderr) == (0, "")
    [line] = lines(done.stdout)
    assert bcrypt.checkpw(b"sesame", line.encode())
    assert not bcrypt.checkpw(b"sesame\n", line.encode())


def test_htpasswd_accepts_the_hash(tmp_path: Path, tool: ToolFinder) -> None:
    htpasswd = tool("htpasswd", "apache2-utils")
    made = run_twistd("-n", "sockd", "--hash-password", folder=tmp_path, stdin="sesame\n").stdout
    (tmp_path / "passwd").write_text(f"admin:{made.replace('$2b$', '$2y$')}", encoding="ascii")
    verify = [htpasswd, "-v", "-b", str(tmp_path / "passwd"), "admin"]
    assert subprocess.run([*verify, "sesame"], check=False).returncode == 0
    assert subprocess.run([*verify, "sesamy"], check=False).returncode != 0


@pytest.mark.parametrize("given", ["", "\n"], ids=["nothing", "empty"])
def test_an_empty_password_is_not_hashed(tmp_path: Path, given: str) -> None:
    done = run_twistd("-n", "sockd", "--hash-password", folder=tmp_path, stdin=given)
    assert (done.returncode, done.stdout) == (1, "")
    assert "empty" in done.stderr
    assert len(lines(done.stderr)) == 1


def test_two_labs_run_in_the_foreground_of_one_directory(tmp_path: Path) -> None:
    with Sockd(ONE, tmp_path) as first, Sockd(ONE, tmp_path) as second:
        for lab in (first, second):
            with connect(lab.port("one")) as client:
                assert ask(client, b"hello") == b"hello"
    assert not (tmp_path / "twistd.pid").exists()


def test_a_pidfile_that_is_asked_for_is_written_in_the_foreground_too(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    pidfile = tmp_path / "own.pid"
    daemon = run_sockd(ONE, options=("--pidfile", str(pidfile)))
    assert process_in(pidfile) == daemon.pid
    assert daemon.stop() == 0
    assert not pidfile.exists()


def test_a_daemon_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    done = run_daemon(tmp_path)
    warning = f"{WARNING}\n" if is_root() else ""
    assert (done.returncode, done.stdout, done.stderr) == (0, "", warning)
    pid = process_in(tmp_path / "lab.pid")
    assert processes_about(tmp_path / "lab.log") == [pid]
    try:
        bound = re.search(r"Bind tcp 127\.0\.0\.1:(\d+) ", (tmp_path / "lab.log").read_text())
        assert bound is not None
        with connect(int(bound[1])) as client:
            assert ask(client, b"hello") == b"hello"
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not processes_about(tmp_path / "lab.log"))
    assert not (tmp_path / "lab.pid").exists()
    assert "Connected by 127.0.0.1:" in (tmp_path / "lab.log").read_text()


def run_daemon(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run sockd as a daemon, with its pidfile and its log in a folder."""
    own = ("--pidfile", str(folder / "lab.pid"), "--logfile", str(folder / "lab.log"))
    return run_twistd(*own, "sockd", "-c", "sockd.ini", folder=folder)


@pytest.mark.parametrize("taken", [(0,), (1,), (0, 1)], ids=["first", "second", "both"])
def test_every_taken_port_is_one_line(tmp_path: Path, taken: tuple[int, ...]) -> None:
    with taken_port() as first, taken_port() as second:
        held = {0: port_of(first), 1: port_of(second)}
        ports = [held[number] if number in taken else 0 for number in held]
        write(tmp_path, two_services(*ports))
        done = run_twistd("-n", "sockd", "-c", "sockd.ini", folder=tmp_path)
    assert done.returncode == 1
    assert [line.partition(" cannot be bound: ")[0] for line in lines(done.stderr)] == [
        f"sockd.ini:{3 + 3 * number}: [service:{('one', 'two')[number]}] listen: "
        f"tcp:{held[number]}:interface=127.0.0.1"
        for number in taken
    ]
    assert "Traceback" not in done.stdout


def test_a_taken_port_of_the_stats_endpoint_stops_the_services_too(tmp_path: Path) -> None:
    with taken_port() as taken:
        stats = f"[stats]\nlisten = tcp:{port_of(taken)}:interface=127.0.0.1\n"
        write(tmp_path, ONE + stats)
        done = run_twistd("-n", "sockd", "-c", "sockd.ini", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("sockd.ini:5: [stats] listen: tcp:")
    assert len(lines(done.stderr)) == 1


def test_a_daemon_that_cannot_bind_tells_the_terminal_and_the_log(tmp_path: Path) -> None:
    with taken_port() as taken:
        write(tmp_path, two_services(0, port_of(taken)))
        done = run_daemon(tmp_path)
        problem = f"sockd.ini:6: [service:two] listen: tcp:{port_of(taken)}:interface=127.0.0.1"
    wait_until(lambda: not processes_about(tmp_path / "lab.log"))
    log = (tmp_path / "lab.log").read_text()
    assert done.returncode == 1
    assert problem in done.stderr
    assert problem in log
    assert "Traceback" not in done.stderr + log
    assert not (tmp_path / "lab.pid").exists()


@as_root
def test_a_low_port_is_bound_before_privileges_are_dropped(run_sockd: RunSockd) -> None:
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid)
    port = free_low_port()
    daemon = run_sockd(
        ONE.replace("tcp:0", f"tcp:{port}"),
        options=("--uid", str(nobody.pw_uid), "--gid", str(group.gr_gid)),
        environment={"COVERAGE_PROCESS_CONFIG": ""},  # nobody could not write what it measures
    )
    with connect(port) as client:
        assert ask(client, b"hello") == b"hello"
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    ids = dict(re.findall(r"^(Uid|Gid|Groups):\s*(.*?)\s*$", status, re.MULTILINE))
    assert set(ids["Uid"].split()) == {str(nobody.pw_uid)}
    assert set(ids["Gid"].split()) == {str(group.gr_gid)}
    assert "0" not in ids["Groups"].split()
    assert daemon.stop() == 0
