"""The number of descriptors that a configuration needs, and the limit of the process."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from sockd.capture.descriptors import CAPTURE_DESCRIPTORS
from sockd.check import descriptor_demand
from sockd.config.specs import Configuration
from sockd.errors import Problem
from sockd.interfaces import IServiceKind
from sockd.process import descriptors
from sockd.process.descriptors import RESERVE, SELECT, Demand
from sockd.registry import Registry, discover
from sockd.services.fastpath.fastpath import FAST_PATH_DESCRIPTORS
from sockd.services.stream import StreamKind
from sockd.stats.descriptors import MAX_CONNECTIONS
from tests.clients import ask, connect, receive_to_end
from tests.configurations import FILE, read
from tests.conftest import RunSockd, ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import DEADLINE, TWISTD, environment_for, run_twistd

REGISTRY = discover()


def demand(configuration: Configuration) -> Demand:
    return descriptor_demand(configuration, REGISTRY)


def needed(configuration: Configuration) -> int:
    return demand(configuration).total


def problems(configuration: Configuration, limit: int, is_select: bool = False) -> list[Problem]:
    return descriptors.problems(configuration, demand(configuration), limit, is_select)


def fitted_to(configuration: Configuration, limit: int) -> Configuration:
    return descriptors.fitted(configuration, demand(configuration), limit)


TCP = "[service:one]\nkind = tcp\nlisten = tcp:7001\nmax_connections = 900\n"
UDP = "[service:datagrams]\nkind = udp\nlisten =\n  udp:7001\n  udp:7002\n"
MULTI = "[service:many]\nkind = multi\nlisten =\n  tcp:7003\n  tcp:7004\nmax_connections = 500\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (UDP, 2),
        (TCP, 1 + FAST_PATH_DESCRIPTORS + 1),
        (MULTI, 2 + FAST_PATH_DESCRIPTORS + 500),
        (UDP + MULTI, 2 + 2 + FAST_PATH_DESCRIPTORS + 500),
        (UDP + "[stats]\n", 2 + 1 + MAX_CONNECTIONS),
        (
            UDP + "[admin]\ntelnet = tcp:7005:interface=127.0.0.1\n",
            2 + 2 + 10 + 30,
        ),
        (UDP + "[admin]\nmax_sessions = 50\n", 2 + 1 + 50 + 30),
        (UDP + "[capture]\n", 2 + CAPTURE_DESCRIPTORS),
    ],
)
def test_all_that_may_be_open_at_once_is_counted(text: str, number: int) -> None:
    assert needed(read(text)) == number + RESERVE


def test_a_kind_says_itself_what_it_needs_and_others_count_as_many_as_they_may_serve() -> None:
    class Foreign:
        name = "foreign"
        datagrams = False
        options = ()

    pair = StreamKind("pair", limit=2)
    kinds = {"multi": pair, "tcp": cast("IServiceKind", Foreign())}
    registry = Registry(kinds, REGISTRY.replies, ())
    (own,) = read(MULTI).services
    (foreign,) = read(TCP).services
    assert registry.descriptors(own) == 2 + FAST_PATH_DESCRIPTORS + 2
    assert registry.descriptors(foreign) == 1 + 900


def test_the_error_names_the_numbers_the_largest_service_and_the_remedies() -> None:
    configuration = read(TCP + MULTI)
    limit = needed(configuration)
    assert problems(configuration, limit) == []
    (problem,) = problems(configuration, limit - 1)
    assert str(problem) == (
        f"{FILE}:10: [service:many] max_connections: {limit} descriptors are needed in all, and "
        f"the hard limit is {limit - 1} (lower max_connections, or raise the limit: `ulimit -Hn`, "
        "or LimitNOFILE= for systemd)"
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
    assert done.stderr.startswith(f"{file}:4: [service:many] max_connections: {need} descriptors")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("reactor", "soft"), [("epoll", 2000), ("select", 1024)])
def test_the_soft_limit_is_raised_as_far_as_it_is_of_use(
    run_sockd: RunSockd, tool: ToolFinder, reactor: str, soft: int
) -> None:
    tool("prlimit", "util-linux")
    sockd = run_sockd(
        INI.format(500), options=(f"--reactor={reactor}",), command=limited(256, 2000, TWISTD)
    )
    limits = Path(f"/proc/{sockd.pid}/limits").read_text(encoding="ascii")
    found = re.search(r"^Max open files +(\d+) +(\d+)", limits, re.MULTILINE)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (soft, 2000)
    assert "the reactor select" not in sockd.output


MANY = "[service:{}]\nkind = multi\nlisten = tcp:0\n"


def test_under_select_services_that_say_no_number_share_what_is_left() -> None:
    configuration = read(MANY.format("a") + MANY.format("b") + TCP + UDP + "[stats]\n")
    fitted = fitted_to(configuration, SELECT)
    assert needed(fitted) in (SELECT, SELECT - 1)
    assert [spec.max_connections for spec in fitted.services[:2]] == [335, 335]
    assert fitted.services[2:] == configuration.services[2:]
    assert problems(fitted, 20_000, is_select=True) == []


def test_what_a_file_says_itself_is_never_changed() -> None:
    configuration = read(MULTI + MANY.format("a"))
    fitted = fitted_to(configuration, SELECT)
    assert fitted.services[0] == configuration.services[0]
    assert fitted.services[1].max_connections == SELECT - RESERVE - (
        2 + FAST_PATH_DESCRIPTORS + 500
    ) - (1 + FAST_PATH_DESCRIPTORS)
    small = read(MANY.format("a") + "max_connections = 100\n")
    assert fitted_to(small, SELECT) is small
    large = read(MANY.format("a") + MANY.format("b") + "max_connections = 900\n")
    assert fitted_to(large, SELECT) is large


def test_the_error_names_the_reactor_where_that_is_the_bound() -> None:
    configuration = read(MULTI + MULTI.replace("many", "more").replace("700", "701"))
    need = needed(configuration)
    (problem,) = problems(configuration, 20_000, is_select=True)
    assert str(problem) == (
        f"{FILE}:6: [service:many] max_connections: {need} descriptors are needed in all, and the "
        "reactor select serves 1024 (lower max_connections, or take another reactor: "
        "`twistd --help-reactors` lists them)"
    )
    (problem,) = problems(configuration, 1000, is_select=True)
    assert "and the hard limit is 1000 (" in str(problem)
    assert problems(configuration, 20_000) == []


def test_under_select_too_much_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sockd.ini"
    file.write_text(INI.format(1000), encoding="utf-8")
    done = run_twistd("--reactor=select", "-n", "sockd", "-c", str(file), folder=tmp_path)
    assert done.returncode == 1
    assert "descriptors are needed in all, and the reactor select serves 1024 (lower" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["lab", "classroom", "remote"])
def test_what_is_shipped_fits_select(name: str, tmp_path: Path) -> None:
    file = str(REPOSITORY / "config" / f"{name}.ini")
    done = run_twistd("--reactor=select", "-n", "sockd", "-c", file, "--check", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_under_select_a_full_service_refuses_and_the_stats_can_be_reached(
    run_sockd: RunSockd,
) -> None:
    ini = INI.partition("max_connections")[0] + "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
    sockd = run_sockd(ini, options=("--reactor=select",))
    room = SELECT - RESERVE - (1 + FAST_PATH_DESCRIPTORS) - (1 + MAX_CONNECTIONS)
    sockd.wait_for(f"many: max_connections is {room}, since the reactor select serves 1024 desc")
    with ExitStack() as stack:
        for _ in range(room):
            client = stack.enter_context(connect(sockd.port("many")))
        assert ask(client, b"hello") == b"hello"
        for _ in range(MAX_CONNECTIONS - 1):
            stack.enter_context(connect(int(sockd.stats_url.rpartition(":")[2])))
        assert receive_to_end(stack.enter_context(connect(sockd.port("many")))) == b""
        shown = sockd.service("many")
        assert (shown["active"], shown["refusals"]) == (room, {"full": 1})
    assert "EMFILE" not in sockd.output
