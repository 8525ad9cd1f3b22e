"""Imports point down, pure folders stay pure, and importing sockd chooses no reactor."""

from __future__ import annotations

import ast
import graphlib
import os
import re
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

LAYERS = (
    *("plugin", "tap", "startup", "daemon", "testing", "check", "plugins", "reload", "registry"),
    *("admin", "stats", "capture", "services", "replies", "interfaces"),
    *("services.context", "reload.plan", "reload.followed"),
    *("log", "process", "net", "proxy", "config", "limits", "render", "model"),
    *("reactor", "support.files", "support.service", "errors", "support"),
)
"""The parts of sockd from the top to the bottom. A part imports from those below it."""

PURE_FOLDERS = tuple(
    f"sockd.{name}"
    for name in ("config", "limits", "model", "proxy", "render", "replies", "errors")
)
"""Folders, and the module ``errors``, that know neither a reactor nor a socket.

Modules elsewhere are held to the same if the first paragraph of their docstring says "Pure".
"""

PURE_OF_BENCH = ("results", "servers", "table", "targets", "works")
INTERFACES = "sockd.interfaces"
"""Pure but for the name of Twisted's IService, from which INetworkService inherits."""

IMPURE = ("asyncio", "select", "selectors", "socket", "ssl", "subprocess", "threading", "twisted")
WATCHERS = tuple(
    f"sockd.{name}" for name in ("admin", "daemon", "log", "reload.reloader", "stats", "tap")
)


@dataclass
class Imports:
    """What a file imports.

    :ivar at_once: while it is imported itself.
    :ivar later: inside functions.
    :ivar typing: for type checkers alone.
    :ivar is_pure: whether its docstring says so.
    """

    at_once: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    typing: set[str] = field(default_factory=set)
    is_pure: bool = False

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
    tree = ast.parse(file.read_text(encoding="utf-8"))
    says = ast.get_docstring(tree) or ""
    imports = Imports(is_pure=re.search(r"\bPure[.:]", says) is not None)
    _gather(tree, imports, imports.at_once)
    return imports


def _gather(node: ast.AST, imports: Imports, names: set[str]) -> None:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        names = imports.typing
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


def pure() -> tuple[str, ...]:
    """Return the pure folders, and the modules elsewhere whose docstrings say that they are."""
    names = (name for name, imports in modules().items() if imports.is_pure)
    return (*PURE_FOLDERS, *(name for name in names if not _is_package(name)))


def _is_package(name: str) -> bool:
    return any(other.startswith(f"{name}.") for other in modules())


def within(name: str, parts: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


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
    assert (
        "sockd.model.ledger"
        in modules()["sockd.render.json_views"].all | modules()["sockd.tap"].all
    )
    assert "twisted.internet.reactor" in modules()["sockd.startup.chosen_reactor"].later


def test_purity_is_seen_where_a_docstring_declares_it() -> None:
    assert "sockd.stats.listings" in pure()
    assert "sockd.reload.plan" in pure()
    assert "sockd.stats" not in pure()


def test_pure_modules_import_neither_a_reactor_nor_a_socket() -> None:
    assert found(pure(), IMPURE) == []
    assert {name for _, name in found((INTERFACES,), IMPURE)} == {
        "twisted.application.service",
        "twisted.application.service.IService",
        "twisted.plugin",
        "twisted.plugin.IPlugin",
    }


def test_pure_modules_import_only_pure_modules() -> None:
    reached = {name for _, name in found(pure(), ("sockd",))} & modules().keys()
    assert {name for name in reached if not within(name, pure())} <= {INTERFACES, "sockd"}


def test_imports_point_down() -> None:
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.all | imports.typing
        if _layer(module) < len(LAYERS) and _layer(name) < _layer(module)
    ] == []


def _layer(name: str) -> int:
    """Return how far down a module is: the place of the longest part that it belongs to."""
    parts = [part for part in LAYERS if within(name, (f"sockd.{part}",))]
    return LAYERS.index(max(parts, key=len)) if parts else len(LAYERS)


def test_every_module_has_a_layer() -> None:
    assert {name for name in modules() if _layer(name) == len(LAYERS)} == {"sockd"}


def test_the_top_folder_can_be_taken_in_at_a_glance() -> None:
    entries = [
        path.name
        for path in (PROJECT / "sockd").iterdir()
        if path.is_file() or any(path.rglob("*.py"))
    ]
    assert len(entries) <= 30


def test_pure_modules_run_where_twisted_is_not_even_loaded() -> None:
    program = """if True:
        import importlib, sys
        for name in sys.argv[1:]:
            if name.startswith(PURE) and not name.startswith("sockd.replies"):
                importlib.import_module(name)
        print(*sorted({name.partition(".")[0] for name in sys.modules}))
    """
    loaded = run(program.replace("PURE", repr(pure()))).split()
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
    parts = ("model", "net", "plugins", "render", "services")
    core = (*(f"sockd.{part}" for part in parts), INTERFACES)
    assert found(core, WATCHERS) == []


@pytest.mark.parametrize(("view", "other"), [("stats", "admin"), ("admin", "stats")])
def test_a_view_knows_the_ledger_and_not_the_kinds_or_the_other_view(view: str, other: str) -> None:
    strangers = tuple(
        f"sockd.{name}" for name in (other, "capture", "daemon", "plugins", "services", "tap")
    )
    assert found((f"sockd.{view}",), strangers) == []


def test_no_import_comes_round_in_a_circle_for_type_checkers_either() -> None:
    known = modules().keys()
    graph = {
        module: {name for name in imports.all | imports.typing if name in known} - {module}
        for module, imports in modules().items()
    }
    for module, names in graph.items():  # a package is not imported for what its modules hold
        names -= {name for name in names if _is_package(name) and module.startswith(f"{name}.")}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(known)


def test_no_two_classes_or_functions_of_modules_share_a_name() -> None:
    owners: dict[str, list[str]] = {}
    for file in sorted((PROJECT / "sockd").rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                owners.setdefault(node.name, []).append(_module_name(file))
    assert {name: where for name, where in owners.items() if len(where) > 1} == {}


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
        if not within(name, pure())
    ] == []


def test_the_library_for_metrics_is_loaded_with_the_first_scrape() -> None:
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.at_once
        if within(name, ("prometheus_client", "sockd.stats.metrics.exposition"))
        and module != "sockd.stats.metrics.exposition"
    ] == []


def test_the_shell_is_loaded_once_the_reactor_is_chosen() -> None:
    """Importing ``twisted.conch.insults.helper``, which Manhole needs, installs one."""
    assert [
        (module, name)
        for module, imports in modules().items()
        for name in imports.at_once
        if within(name, ("sockd.admin",)) and not within(module, ("sockd.admin",))
        if not within(name, pure())
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
