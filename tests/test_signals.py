"""The action of each signal in a real daemon; none ends it without the drain."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sockd.process.signals import ACTIONS, Action
from tests.clients import ask, connect, receive_to_end
from tests.conftest import RunSockd
from tests.fresh import REPOSITORY
from tests.harness import DEADLINE, TWISTD, environment_for, wait_until
from tests.test_documentation import rows, section

ONE = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
FATAL = """if True:
    import os, resource, signal
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    fatal = []
    for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}):
        child = os.fork()
        if not child:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            os._exit(0)
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSIGNALED(status):
            fatal.append(number)
        if os.WIFSTOPPED(status):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    print(*fatal)
"""
"""Prints the signals that end a process by default."""


def numbers(action: Action) -> list[signal.Signals]:
    """Return the signals of an action that this system has; those that Python ignores left out."""
    named = (getattr(signal, name, None) for name, one in ACTIONS.items() if one is action)
    return [one for one in named if one not in (None, signal.SIGPIPE, signal.SIGXFSZ)]


def name_of(number: signal.Signals) -> str:
    """Return the name in the table of a signal that may have others too."""
    return next(name for name in ACTIONS if getattr(signal, name, None) == number)


def real_time() -> range:
    return range(signal.SIGRTMIN, signal.SIGRTMAX + 1)


def fatal() -> set[int]:
    done = subprocess.run(
        [sys.executable, "-c", FATAL], capture_output=True, check=True, timeout=DEADLINE
    )
    return set(map(int, done.stdout.split()))


def test_no_signal_that_ends_a_process_by_default_is_missing_in_the_table() -> None:
    known = {getattr(signal, name, 0) for name in ACTIONS} | set(real_time())
    assert fatal() <= known


@pytest.mark.parametrize("number", numbers(Action.SHUT_DOWN))
def test_the_signals_that_shut_down_let_connections_finish(
    run_sockd: RunSockd, number: signal.Signals
) -> None:
    sockd = run_sockd(f"[sockd]\ndrain = 1h\n{ONE}")
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"before") == b"before"
        sockd.send_signal(number)
        sockd.wait_for("Draining: 1 open connections")
        assert ask(client, b"meanwhile") == b"meanwhile"
        client.shutdown(socket.SHUT_WR)
        assert receive_to_end(client) == b""
    assert sockd.wait() == 0
    assert f"Received {number.name}" in sockd.output


def test_the_other_signals_are_ignored_and_logged(run_sockd: RunSockd) -> None:
    sockd = run_sockd(ONE)
    with connect(sockd.port("multi")) as client:
        for number in (signal.SIGPIPE, signal.SIGXFSZ, *numbers(Action.IGNORE), *real_time()):
            os.kill(sockd.pid, number)
            assert ask(client, b"x") == b"x"
        for number in numbers(Action.IGNORE):
            sockd.wait_for(rf"{name_of(number)} was ignored")
        for number in real_time():
            sockd.wait_for(rf"SIGRTMIN\+{number - signal.SIGRTMIN} was ignored")
    assert sockd.stop() == 0


def test_a_program_error_ends_the_daemon_with_its_signal(run_sockd: RunSockd) -> None:
    for number in numbers(Action.DEFAULT):
        assert run_sockd(ONE).stop(number) == -number


def test_the_table_of_the_page_is_the_table() -> None:
    page = (REPOSITORY / "docs" / "operation.md").read_text(encoding="utf-8")
    shown = {
        name: row[1]
        for row in rows(section(page, "## Signals"))
        for name in re.findall(r"`(SIG\w+)`", row[0])
    }
    assert shown.pop("SIGRTMIN") == shown["SIGUSR2"]
    assert shown.pop("SIGRTMAX") == shown["SIGUSR2"]
    assert shown.keys() == ACTIONS.keys()
    for action in Action:
        assert len({shown[name] for name, one in ACTIONS.items() if one is action}) == 1


EARLY = """\
import os
from zope.interface import implementer
from sockd.interfaces import IServiceKind
from sockd.plugins.builtin import multi
@implementer(IServiceKind)
class Early:
    name, datagrams, options = "early", False, ()
    def serve(self, spec, reply, context):
        service = multi.serve(spec, reply, context)
        bind = service.privilegedStartService
        def bind_with_a_signal():
            bind()
            os.kill(os.getpid(), int(os.environ["EARLY_SIGNAL"]))
        service.privilegedStartService = bind_with_a_signal
        return service
early = Early()
"""
"""A kind whose services send the process a signal once they are bound."""


@pytest.fixture
def early(tmp_path: Path) -> str:
    """Return the path where Python finds the kind ``early``."""
    folder = tmp_path / "path" / "sockd" / "plugins"
    folder.mkdir(parents=True)
    (folder / "early.py").write_text(EARLY, encoding="utf-8")
    return str(tmp_path / "path")


def early_environment(path: str, number: signal.Signals) -> dict[str, str]:
    return {"PYTHONPATH": path, "EARLY_SIGNAL": str(int(number))}


@pytest.mark.parametrize("number", numbers(Action.SHUT_DOWN))
def test_a_signal_that_comes_before_the_reactor_runs_shuts_down_in_order(
    tmp_path: Path, early: str, number: signal.Signals
) -> None:
    (tmp_path / "sockd.ini").write_text(
        f"[service:s]\nkind = early\nlisten = unix:{tmp_path}/lab.sock\n", encoding="utf-8"
    )
    done = subprocess.run(
        [TWISTD, "--pidfile", "pid", "-n", "sockd", "-c", "sockd.ini"],
        cwd=tmp_path,
        env=environment_for(tmp_path, early_environment(early, number)),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "lab.sock").exists()
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_the_other_signals_wait_for_the_reactor(
    run_sockd: RunSockd, early: str, number: signal.Signals
) -> None:
    sockd = run_sockd(
        ONE.replace("kind = multi", "kind = early"), environment=early_environment(early, number)
    )
    sockd.wait_for("Reloaded: " if number == signal.SIGHUP else f"{number.name} was ignored")
    assert sockd.stop() == 0


def test_no_signal_kills_while_the_daemon_shuts_down(run_sockd: RunSockd) -> None:
    sockd = run_sockd(ONE)
    all_of_them = [one for action in set(Action) - {Action.DEFAULT} for one in numbers(action)]

    def ended() -> bool:
        for number in all_of_them:
            sockd.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            sockd.wait(0.001)
            return True
        return False

    wait_until(ended)
    assert sockd.wait() == 0
