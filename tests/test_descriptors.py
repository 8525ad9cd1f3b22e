"""What a configuration may need is added up beforehand, and no more is granted than there is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sockd.descriptors import CAPTURE, RESERVE, SHELL_DOOR, STATS, needed, problems
from tests.configurations import FILE, read
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, environment_for

TCP = "[service:one]\nkind = tcp\nlisten = tcp:7001\nmax_connections = 900\n"
UDP = "[service:datagrams]\nkind = udp\nlisten =\n  udp:7001\n  udp:7002\n"
MULTI = "[service:many]\nkind = multi\nlisten =\n  tcp:7003\n  tcp:7004\nmax_connections = 500\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (UDP, 2),
        (TCP, 1 + 1 + 1),
        (MULTI, 2 + 1 + 500),
        (UDP + MULTI, 2 + 2 + 1 + 500),
        (UDP + "[stats]\n", 2 + 1 + STATS),
        (UDP + "[admin]\ntelnet = tcp:7005:interface=127.0.0.1\n", 2 + 2 + 10 + SHELL_DOOR),
        (UDP + "[admin]\nmax_sessions = 50\n", 2 + 1 + 50 + SHELL_DOOR),
        (UDP + "[capture]\n", 2 + CAPTURE),
    ],
)
def test_all_that_may_be_open_at_once_is_counted(text: str, number: int) -> None:
    assert needed(read(text)) == number + RESERVE


def test_the_error_names_the_numbers_the_largest_service_and_the_remedies() -> None:
    configuration = read(TCP + MULTI)
    limit = needed(configuration)
    assert problems(configuration, limit) == []
    (problem,) = problems(configuration, limit - 1)
    assert str(problem) == (
        f"{FILE}:5: [service:many] max_connections: {limit} descriptors are needed in all, and the "
        f"hard limit is {limit - 1} (lower max_connections, or raise the limit: `ulimit -Hn`, or "
        "LimitNOFILE= for systemd)"
    )


INI = "[service:many]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\nmax_connections = {}\n"


def limited(soft: int, hard: int, *command: str) -> tuple[str, ...]:
    """Return a command that runs with other limits than those of the test."""
    return ("prlimit", f"--nofile={soft}:{hard}", *command)


@pytest.mark.parametrize("check", [(), ("--check",)])
def test_what_cannot_fit_is_refused_before_anything_listens(
    tmp_path: Path, tool: ToolFinder, check: tuple[str, ...]
) -> None:
    tool("prlimit", "util-linux")
    file = tmp_path / "sockd.ini"
    file.write_text(INI.format(900), encoding="utf-8")
    command = limited(256, 1000, TWISTD, "-n", "sockd", "-c", str(file), *check)
    done = subprocess.run(
        command,
        env=environment_for(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    need = needed(read(file.read_text(encoding="utf-8")))
    assert done.stderr.startswith(f"{file}:1: [service:many] max_connections: {need} descriptors")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("reactor", "soft"), [("epoll", 2000), ("select", 1024)])
def test_the_soft_limit_is_raised_as_far_as_it_is_of_use(
    run_sockd: RunSockd, tool: ToolFinder, reactor: str, soft: int
) -> None:
    tool("prlimit", "util-linux")
    sockd = run_sockd(
        INI.format(1000), options=(f"--reactor={reactor}",), command=limited(256, 2000, TWISTD)
    )
    limits = Path(f"/proc/{sockd.pid}/limits").read_text(encoding="ascii")
    found = re.search(r"^Max open files +(\d+) +(\d+)", limits, re.MULTILINE)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (soft, 2000)
    assert ("the reactor select serves 1024" in sockd.output) == (reactor == "select")
