"""The warning for root, and the refusal of a root shell that others can reach."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

import pytest

from sockd.config.endpoint import parse_stream
from sockd.config.specs import AdminSpec
from sockd.errors import SourceLocation
from sockd.process.privileges import WARNING, shell_problems
from tests.conftest import RunSockd
from tests.fresh import REPOSITORY
from tests.harness import run_twistd, wait_until

PLACE = SourceLocation("lab.ini", 5, "admin", "ssh")
ONE = "[service:one]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
OPEN_SHELL = f"{ONE}[admin]\nssh = tcp:0\n"
NOBODY = ("--uid", "65534", "--gid", "65534")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="it is about root")


@pytest.mark.parametrize(
    ("endpoint", "is_refused"),
    [
        ("tcp:2222", True),
        ("tcp:2222:interface=192.0.2.1", True),
        (r"tcp:2222:interface=\:\:", True),
        ("tcp6:2222", True),
        ("systemd:domain=INET:index=0", True),
        ("haproxy:tcp:2222:interface=127.0.0.1", True),
        ("tcp:2222:interface=127.0.0.1", False),
        ("tcp:2222:interface=127.1.2.3", False),
        (r"tcp:2222:interface=\:\:1", False),
        ("unix:/run/shell", False),
    ],
)
def test_a_root_shell_is_for_this_machine_alone(endpoint: str, is_refused: bool) -> None:
    spec = AdminSpec(locations=MappingProxyType({}), ssh=(parse_stream(endpoint, PLACE),))
    problems = list(shell_problems(spec))
    assert len(problems) == is_refused
    for problem in problems:
        assert problem.location == PLACE
        assert problem.message.endswith("would be a root shell for other machines")
        assert "--uid nobody" in problem.hint


@as_root
@pytest.mark.parametrize("more", [(), ("--check",)], ids=["run", "check"])
@pytest.mark.parametrize("options", [(), ("--uid", "0"), (*NOBODY, "--euid")])
def test_who_stays_root_may_not_open_the_shell(
    tmp_path: Path, options: tuple[str, ...], more: tuple[str, ...]
) -> None:
    (tmp_path / "lab.ini").write_text(OPEN_SHELL, encoding="utf-8")
    done = run_twistd(*options, "-n", "sockd", "-c", "lab.ini", *more, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("lab.ini:5: [admin] ssh: 'tcp:0' would be a root shell")
    assert done.stdout == ""


@as_root
def test_who_drops_root_may(tmp_path: Path, run_sockd: RunSockd) -> None:
    (tmp_path / "lab.ini").write_text(OPEN_SHELL, encoding="utf-8")
    done = run_twistd(*NOBODY, "-n", "sockd", "-c", "lab.ini", "--check", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    sockd = run_sockd(
        ONE,
        options=NOBODY,
        environment={"COVERAGE_PROCESS_CONFIG": ""},  # nobody could not write what it measures
    )
    assert WARNING not in sockd.output


@as_root
def test_root_runs_the_lab_and_is_warned_once(run_sockd: RunSockd) -> None:
    lab = (REPOSITORY / "config" / "lab.ini").read_text(encoding="utf-8")
    for port in ("65431", "65432", "65433", "8007", "2222"):
        lab = lab.replace(f":{port}:", ":0:")
    sockd = run_sockd(lab)
    wait_until(lambda: WARNING in sockd.output)
    assert sockd.output.count("runs as root") == 1
    assert sockd.service("multi")["state"] == "listening"


@as_root
def test_in_the_background_the_terminal_sees_the_warning_too(tmp_path: Path) -> None:
    (tmp_path / "lab.ini").write_text(ONE, encoding="utf-8")
    log = tmp_path / "sockd.log"
    words = ("--logfile", str(log), "--pidfile", str(tmp_path / "pid"), "sockd", "-c", "lab.ini")
    done = run_twistd(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"{WARNING}\n")
    pid = int((tmp_path / "pid").read_text(encoding="ascii"))
    try:
        wait_until(lambda: log.exists() and WARNING in log.read_text(encoding="utf-8"))
    finally:
        os.kill(pid, 15)
        wait_until(lambda: not (tmp_path / "pid").exists())
