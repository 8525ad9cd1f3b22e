"""Imports point down, pure rooms stay pure, and importing sockd chooses no reactor."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent

PURE = (
    "sockd.address",
    "sockd.admin.attempts",
    "sockd.admin.grants",
    "sockd.admin.roles",
    "sockd.admin.throttle",
    "sockd.capture.filters",
    "sockd.capture.headers",
    "sockd.capture.pcapng",
    "sockd.config",
    "sockd.errors",
    "sockd.files",
    "sockd.ledger",
    "sockd.limits",
    "sockd.listening.occupant",
    "sockd.narration.invitation",
    "sockd.narration.lesson",
    "sockd.narration.telling",
    "sockd.port_counts",
    "sockd.process.descriptors",
    "sockd.proxy",
    "sockd.records",
    "sockd.reload.followed",
    "sockd.reload.plan",
    "sockd.replies",
    "sockd.rows",
    "sockd.steps",
    "sockd.tables",
    "sockd.text",
    "sockd.views",
    "sockd.web.answers",
    "sockd.web.backlog",
    "sockd.web.formats",
    "sockd.web.frames",
    "sockd.web.news",
    "sockd.web.query",
    "sockd.web.slices",
    "sockd.web.tallies",
    "sockd.web.target",
)
PURE_OF_BENCH = ("results", "servers", "table", "targets", "works")
INTERFACES = "sockd.interfaces"
"""Pure but for the name of Twisted's IService, from which INetworkService inherits."""

IMPURE = ("asyncio", "select", "selectors", "socket", "ssl", "subprocess", "threading", "twisted")
WATCHERS = tuple(
    f"sockd.{name}" for name in ("admin", "daemon", "narration", "reload.reloader", "tap", "web")
)


@dataclass
class Imports:
    """What a file imports.

    :ivar at_once: while it is imported itself.
    :ivar later: inside functions.
    """

    at_once: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)

    @property
    def all(self) -> set[str]:
        """At once or later; what only type checkers import does not count."""
        return self.at_once | self.later


@cache
def modules() -> dict[str, Imports]:
    """Return what each module of sockd imports."""
    files = sorted((PROJECT / "sockd").rglob("*.py"))
    return {_module_name(file): imports_of(file) for file in files}


def _module_name(file: Path) -> str:
    parts = file.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path) -> Imports:
    imports = Imports()
    _gather(ast.parse(file.read_text(encoding="utf-8")), imports, imports.at_once)
    return imports


def _gather(node: ast.AST, imports: Imports, names: set[str]) -> None:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        names = imports.later
    names.update(_names(node))
    for child in ast.iter_child_nodes(node):
        _gather(child, imports, names)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        assert node.module is not None
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def found(importers: tuple[str, ...], imported: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return who of some imports which of others, at once or later."""
    return [
        (module, name)
        for module, imports in modules().items()
        for name in sorted(imports.all)
        if within(module, importers) and within(name, imported)
    ]


def run(program: str) -> str:
    """Return what a program prints in a fresh interpreter that nobody measures."""
    command = [sys.executable, "-c", program, *modules()]
    environment = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tests_of_this_file_see_the_modules() -> None:
    assert {"sockd", "sockd.tap", "sockd.config.load", "sockd.replies.echo"} <= modules().keys()
    assert "sockd.ledger" in modules()["sockd.views"].all | modules()["sockd.tap"].all
    assert "twisted.internet.reactor" in modules()["sockd.tap"].later


def test_pure_rooms_import_neither_a_reactor_nor_a_socket() -> None:
    assert found(PURE, IMPURE) == []
    assert {name for _, name in found((INTERFACES,), IMPURE)} == {
        "twisted.application.service",
        "twisted.application.service.IService",
        "twisted.plugin",
        "twisted.plugin.IPlugin",
    }


def test_pure_rooms_import_only_pure_rooms() -> None:
    reached = {name for _, name in found(PURE, ("sockd",))} & modules().keys()
    assert {name for name in reached if not within(name, PURE)} <= {INTERFACES, "sockd"}


def test_pure_rooms_run_where_twisted_is_not_even_loaded() -> None:
    program = """if True:
        import importlib, sys
        for name in sys.argv[1:]:
            if name.startswith(PURE) and not name.startswith("sockd.replies"):
                importlib.import_module(name)
        print(*sorted({name.partition(".")[0] for name in sys.modules}))
    """
    loaded = run(program.replace("PURE", repr(PURE))).split()
    assert "sockd" in loaded
    assert {"twisted", "socket", "ssl", "asyncio"}.isdisjoint(loaded)


def test_the_benchmark_looks_from_outside_and_its_arithmetic_is_pure() -> None:
    files = {file.stem: imports_of(file).all for file in (PROJECT / "bench").glob("*.py")}
    assert not [name for names in files.values() for name in names if within(name, ("sockd",))]
    assert found(("sockd",), ("bench",)) == []
    pure = tuple(f"bench.{name}" for name in PURE_OF_BENCH)
    for name in PURE_OF_BENCH:
        assert not [one for one in files[name] if within(one, (*IMPURE, "os", "pathlib"))]
        assert not [one for one in files[name] if within(one, ("bench",)) and not within(one, pure)]


def test_nothing_imports_tap() -> None:
    assert found(("sockd",), ("sockd.tap",)) == []


def test_a_service_does_not_know_who_watches() -> None:
    parts = ("kernel", "kinds", "ledger", "listening", "plugins", "records", "views")
    core = (*(f"sockd.{part}" for part in parts), INTERFACES)
    assert found(core, WATCHERS) == []


@pytest.mark.parametrize(("view", "other"), [("web", "admin"), ("admin", "web")])
def test_a_view_knows_the_ledger_and_not_the_kinds_or_the_other_view(view: str, other: str) -> None:
    strangers = tuple(
        f"sockd.{name}" for name in (other, "capture", "daemon", "kinds", "plugins", "tap")
    )
    assert found((f"sockd.{view}",), strangers) == []


def test_no_import_comes_round_in_a_circle() -> None:
    known = modules().keys()
    graph = {module: (imports.at_once & known) - {module} for module, imports in modules().items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(known)


def test_the_drop_in_imports_nothing_of_sockd() -> None:
    imports = imports_of(PROJECT / "twisted" / "plugins" / "sockd_dropin.py")
    assert imports.all == {
        "twisted.application.service",
        "twisted.application.service.ServiceMaker",
    }
    assert not (PROJECT / "twisted" / "__init__.py").exists()
    assert not (PROJECT / "twisted" / "plugins" / "__init__.py").exists()


def test_no_module_imports_a_reactor_at_once() -> None:
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.at_once
        if name.startswith("twisted.internet.") and name.endswith("reactor")
    ] == []


def test_importing_sockd_chooses_no_reactor() -> None:
    program = """if True:
        import importlib, sys
        for name in sys.argv[1:]:
            if not name.startswith("sockd.admin"):
                importlib.import_module(name)
        assert "sockd.tap" in sys.modules
        print("twisted.internet.reactor" in sys.modules)
    """
    assert run(program) == "False\n"


def test_the_capture_is_loaded_by_those_who_asked_for_it() -> None:
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.at_once
        if within(name, ("sockd.capture",)) and not within(module, ("sockd.capture",))
    ] == []


def test_the_library_for_metrics_is_loaded_with_the_first_scrape() -> None:
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.at_once
        if within(name, ("prometheus_client", "sockd.web.metrics"))
        and module != "sockd.web.metrics"
    ] == []


def test_the_shell_is_loaded_once_the_reactor_is_chosen() -> None:
    """Importing ``twisted.conch.insults.helper``, which Manhole needs, installs one."""
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.at_once
        if within(name, ("sockd.admin",)) and not within(module, ("sockd.admin",))
    ] == []


ELSEWHERE = """if True:
    import contextlib, importlib, os, select, signal, socket, sys
    foreign = THEIRS
    posix_only = {"fcntl", "grp", "pwd", "pty", "resource", "syslog", "termios", "tty"}
    for name in foreign - posix_only:
        with contextlib.suppress(ImportError):  # many are something inside of a module
            importlib.import_module(name)
    for name in posix_only:
        sys.modules[name] = None
    for module, names in {
        os: "chown fchmod fchown fork getegid geteuid getgid getuid mkfifo setsid "
            "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK",
        select: "epoll kqueue poll",
        signal: "SIGALRM SIGHUP SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 ITIMER_REAL setitimer "
            "pthread_sigmask sigwaitinfo valid_signals",
        socket: "AF_UNIX CMSG_LEN CMSG_SPACE IPV6_PKTINFO IPV6_RECVPKTINFO IP_PKTINFO "
            "IP_RECVERR MSG_DONTWAIT MSG_ERRQUEUE SCM_RIGHTS SO_REUSEPORT TCP_INFO",
    }.items():
        for name in names.split():
            vars(module).pop(name, None)
    for name in sys.argv[1:]:
        importlib.import_module(name)
    print("imported")
"""


def test_every_module_can_be_imported_where_linux_is_not() -> None:
    foreign = {
        name
        for imports in modules().values()
        for name in imports.all
        if not within(name, ("sockd", "twisted.internet.reactor"))
    }
    assert run(ELSEWHERE.replace("THEIRS", repr(foreign))) == "imported\n"
