"""The pages for people say what is true: commands work, options and defaults are the real ones."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import pytest

from sockd.admin.commands.commands import Commands
from sockd.admin.prompt.console import Console
from sockd.config.endpoint import SYSTEMD, parse_any, parse_datagram, parse_stream
from sockd.config.specs import AdminSpec, CaptureSpec, Configuration, ServiceSpec, StatsSpec
from sockd.errors import SourceLocation
from sockd.limits.reflection import GUARDS, REFLECTORS
from sockd.limits.spec import LimitsSpec
from sockd.model.reasons import EndReason
from sockd.model.records import State
from sockd.net.tcp_info import STATES, TCPInfo, described
from sockd.process.privileges import WARNING, shell_problems
from sockd.reload.plan import Move, Plan
from sockd.render.json_views import JsonObject, PortsTable, connection_view, service_view
from sockd.testing import FakeDaemon
from tests.configurations import read
from tests.conftest import RunSockd, ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import DEADLINE, TWISTD
from tests.namespaces import Host
from tests.stats_client import Endpoint

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
OPERATION = (REPOSITORY / "docs" / "operation.md").read_text(encoding="utf-8")
INTERFACES = (REPOSITORY / "docs" / "interfaces.md").read_text(encoding="utf-8")
LAB = (REPOSITORY / "config" / "lab.ini").read_text(encoding="utf-8")

PAGES = [*REPOSITORY.glob("*.md"), "bench/README.md", *REPOSITORY.glob("docs/*.md")]

REQUIRED = {"kind": "tcp", "listen": "tcp:7000:interface=127.0.0.1"}
NOT_OPTIONS = {
    *("file", "services", "stats", "admin", "capture"),
    *("location", "locations", "state_location", "settings", "limits"),
}


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, to the next one of its level or above."""
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^{level} |\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert found is not None, heading
    return found[1]


def blocks(page: str, language: str) -> list[str]:
    """Return the code of one language; the blocks of none are the empty one's."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [code for name, code in fenced if name == language]


def rows(text: str) -> Iterator[list[str]]:
    """Return the cells of the rows of all tables, without the lines below the headings."""
    for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.split("|")]
        if set("".join(cells)) != {"-"}:
            yield cells


def members(text: str) -> set[str]:
    """Return the words in code style of each row's first cell."""
    return {word for cells in rows(text) for word in re.findall(r"`([^`]+)`", cells[0])}


def defaults(heading: str) -> dict[str, str]:
    """Return the options of a section with the defaults that the page gives."""
    found = [row for row in rows(section(CONFIGURATION, heading)) if row[0].startswith("`")]
    return {row[0].strip("`"): row[1].strip("`") for row in found}


def option_names(spec: type) -> set[str]:
    return {one.name for one in fields(spec)} - NOT_OPTIONS


@pytest.mark.parametrize(
    ("heading", "spec", "also"),
    [
        ("## `[sockd]`", Configuration, set()),
        ("## `[service:NAME]`", ServiceSpec, {"name"}),
        ("## Limits", LimitsSpec, set()),
        ("## `[stats]`", StatsSpec, set()),
        ("## `[admin]`", AdminSpec, set()),
        ("## `[capture]`", CaptureSpec, set()),
    ],
)
def test_every_option_is_on_the_page(heading: str, spec: type, also: set[str]) -> None:
    assert defaults(heading).keys() == option_names(spec) - also


def test_the_defaults_on_the_page_are_the_defaults() -> None:
    limits = defaults("## Limits")
    service = defaults("## `[service:NAME]`") | limits | REQUIRED
    without = read(ini({"service:s": REQUIRED, "stats": {}, "admin": {}, "capture": {}}))
    given = read(
        ini(
            {
                "service:s": service,
                "stats": defaults("## `[stats]`"),
                "admin": defaults("## `[admin]`"),
                "capture": defaults("## `[capture]`"),
                "sockd": defaults("## `[sockd]`") | limits,
            }
        )
    )
    assert unplaced(given) == unplaced(without)


def ini(sections: dict[str, dict[str, str]]) -> str:
    return "".join(
        f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())
        for name, options in sections.items()
    )


def unplaced(configuration: Configuration) -> str:
    """Return all of a configuration but the lines that it stands in."""
    assert configuration.admin is not None
    assert configuration.capture is not None
    admin = replace(configuration.admin, locations={})
    capture = replace(configuration.capture, locations={})
    said = repr(replace(configuration, admin=admin, capture=capture, locations={}))
    return re.sub(r"SourceLocation\(.*?\)", "", said)


def test_every_guard_and_every_reflecting_port_is_on_the_page() -> None:
    table = section(CONFIGURATION, "## Datagrams without an answer")
    guards = {row[0].strip("`"): row[1] for row in rows(table) if row[0].startswith("`")}
    assert guards.keys() == GUARDS.keys()
    assert set(map(int, re.findall(r"\d+", guards["reflector"]))) == REFLECTORS


def test_the_examples_of_files_are_right() -> None:
    examples = blocks(CONFIGURATION, "ini")
    assert len(examples) == 2
    assert [len(read(example).services) for example in examples] == [1, 1]


def test_the_examples_of_endpoints_are_right() -> None:
    examples = [word for word in members(section(CONFIGURATION, "## Endpoints")) if ":" in word]
    assert len(examples) >= 10
    for example in examples:
        assert parse_any(example, SourceLocation("page", 1)).description


def test_the_examples_of_sockets_from_systemd_are_right() -> None:
    stream, numbered, *datagram = re.findall(
        r"`(systemd:[^`]+)`", section(OPERATION, "## Sockets from systemd")
    )
    location = SourceLocation("page", 1)
    for example in (stream, numbered):
        assert parse_stream(example, location).parameter("domain") == "INET"
    for example in datagram:
        assert parse_datagram(example, location).kind == SYSTEMD


def test_what_a_reload_says_on_the_page_is_what_it_says() -> None:
    location = SourceLocation("lab.ini", 21, "stats", "listen")
    specs = {spec.name: spec for spec in read(LAB).services}
    tcp, udp, multi = specs["simple-tcp"], specs["simple-udp"], specs["multi"]
    move = Move(tcp.listen[0], "simple-tcp", "web")
    done = Plan((tcp,), (multi,), (), (replace(udp, name="web"),), (udp,), {}, (move,), (location,))
    shown = blocks(section(OPERATION, "## Reload"), "")[0].splitlines()
    assert shown == [f"Reloaded: {line}" for line in done.lines()]


def test_the_warning_of_root_is_on_the_page() -> None:
    warning, refusal = blocks(section(OPERATION, "## As root"), "")
    assert warning == f"{WARNING}\n"
    shell = read(f"{LAB}\nssh = tcp:2222\n".replace("ssh = tcp:2222:interface=127.0.0.1", ""))
    assert shell.admin is not None
    [problem] = shell_problems(shell.admin)
    assert (
        str(replace(problem, location=SourceLocation("lab.ini", 5, "admin", "ssh")))
        == refusal.strip()
    )


def test_every_http_path_is_on_the_page() -> None:
    index = Endpoint().ask("/").body.decode()
    paths = set(re.findall(r"^(/\S*)", index, re.MULTILINE))
    shown = {word for word in members(section(INTERFACES, "## HTTP")) if word.startswith("/")}
    assert shown == paths | {"/"}


def test_every_member_of_the_json_is_on_the_page() -> None:
    daemon = FakeDaemon()
    service = daemon.add("multi")
    connection = service.open()
    table = PortsTable([service.record])
    shown_service = service_view(service.record, service.waiting)
    views = [
        shown_service,
        *cast("list[JsonObject]", shown_service["listeners"]),
        connection_view(connection, None),
        *table.views(),
    ]
    page = section(INTERFACES, "## HTTP")
    shown = set(re.findall(r"`(\w+)`", page))
    assert {name for view in views for name in view} <= shown
    assert {str(word) for word in (*State, *EndReason)} <= shown


def test_every_member_of_the_kernels_view_is_on_the_page() -> None:
    info = TCPInfo._make([0] * len(TCPInfo._fields))
    _, _, rest = section(INTERFACES, "## HTTP").partition("The members of `tcp`")
    table = rest.partition("A row of")[0]
    assert described(info).keys() <= members(table)
    of_a_listener_or_client = {"listen", "syn-sent", "syn-recv", "unknown"}
    assert set(STATES) - of_a_listener_or_client <= set(re.findall(r"`([a-z0-9-]+)`", table))


def test_every_command_of_the_shell_is_on_the_page() -> None:
    console = Console(lambda _: None, lambda _: None)
    names = Commands(FakeDaemon(), console, lambda: 0.0).namespace().keys()
    shown = members(section(INTERFACES, "## The admin shell"))
    assert {word.partition("(")[0] for word in shown} == names


def test_the_readme_has_two_commands_of_one_line() -> None:
    commands = blocks(section(README, "## Two commands"), "sh")
    assert [command.count("\n") for command in commands] == [1, 1]
    run, test = commands
    assert run.endswith(".venv/bin/twistd -n sockd -c config/lab.ini\n")
    assert test.endswith(".venv/bin/coverage run -m pytest\n")


def test_what_ci_runs_is_what_the_readme_says() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"grep --max-count=1 '(.*)' README\.md", script)
    assert found is not None
    assert [found[1] in line for line in README.splitlines()].count(True) == 1


@pytest.mark.parametrize("page", PAGES)
def test_no_link_between_the_pages_is_dead(page: str | Path) -> None:
    file = REPOSITORY / page
    text = file.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        other = file.parent / name if name else file
        assert other.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
            assert anchor in anchors, target


class Terminal:
    """Runs what people type on a host.

    :param password: what is said to a program that asks for one.
    """

    def __init__(self, host: Host, folder: Path, password: str) -> None:
        self._host = host
        ask = folder / "ask"
        ask.write_text(f"#!/bin/sh\necho {password}\n", encoding="ascii")
        ask.chmod(0o700)
        self._environment = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}

    def type(self, command: str, given: str, lines: int = 1) -> str:
        """Return the first lines that a command prints."""
        with subprocess.Popen(
            self._host.command("sh", "-c", f"exec {command}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, **self._environment},
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            too_late = threading.Timer(DEADLINE, process.kill)
            too_late.start()
            process.stdin.write(given)
            process.stdin.flush()
            said = "".join(process.stdout.readline() for _ in range(lines))
            too_late.cancel()
            process.kill()
        return said

    @contextmanager
    def holding(self, command: str) -> Iterator[None]:
        """Keep a command running that waits for input."""
        words = self._host.command("sh", "-c", f"exec {command}")
        with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
            yield
            process.kill()


@pytest.mark.network
def test_what_the_readme_says_to_type_next_works(
    run_sockd: RunSockd, wire: tuple[Host, Host], tool: ToolFinder
) -> None:
    for name, package in (("nc", "netcat-openbsd"), ("curl", ""), ("ssh", "openssh-client")):
        tool(name, package)
    host, _ = wire
    lab = run_sockd(LAB, command=host.command(TWISTD))
    terminal = Terminal(host, lab.folder, lab.first_password)
    next_steps = section(README, "## What to type next")
    commands = [line.partition("#")[0].strip() for line in blocks(next_steps, "sh")[0].splitlines()]
    first, datagrams, many, curl, ssh = commands
    known = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={lab.folder}/known"
    shown = blocks(next_steps, "")[0].splitlines()
    with terminal.holding(many), terminal.holding(many):
        lab.wait_for(r"Connected by .* \(multi #2\)")
        shell = ssh.replace("ssh ", f"ssh {known} ")
        said = terminal.type(shell, "ports()\n", lines=len(shown)).splitlines()
    assert [without_client_port(line) for line in said] == list(map(without_client_port, shown))
    for netcat in (first, datagrams, many):
        assert terminal.type(netcat, "hello\n") == "hello\n"
    assert '"port": 65432' in terminal.type(f"{curl} --silent", "", lines=2)


def without_client_port(line: str) -> str:
    return re.sub(r":\d+ →", ":PORT →", line)
