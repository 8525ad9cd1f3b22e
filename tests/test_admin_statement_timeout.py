"""No statement holds a real daemon up: not at the prompt, not as a command, not in a script."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.clients import ask, connect
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, wait_until
from tests.support_admin import TerminalProgram
from tests.test_admin_roles import SECRET, Lab
from tests.test_admin_telnet import port_of

MESSAGE = "TimeoutError: the statement took longer than 0.3s, the statement_timeout"
AUDIT = r"Admin command interrupted: admin from 127\.0\.0\.1:\d+ over {}: TimeoutError: "


class Shop:
    """Makes labs."""

    def __init__(self, run_sockd: RunSockd, program: str, folder: Path) -> None:
        self._run_sockd = run_sockd
        self._program = program
        self._folder = folder

    def lab(self, timeout: str) -> Lab:
        """Return a lab whose statements have a limit."""
        more = f"statement_timeout = {timeout}\n"
        return Lab(self._run_sockd, self._program, self._folder, more)


@pytest.fixture
def shop(run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path) -> Shop:
    return Shop(run_sockd, tool("ssh", "openssh-client"), tmp_path)


@pytest.fixture
def lab(shop: Shop) -> Lab:
    return shop.lab("300ms")


def serves(lab: Lab) -> bool:
    """Return whether the echo service answers."""
    with connect(lab.daemon.port("echo")) as client:
        return ask(client, b"hello") == b"hello"


def test_an_endless_command_fails_and_the_services_go_on(lab: Lab) -> None:
    out, err, status = lab.run("while True: pass", user="admin")
    assert (out, err.splitlines()[-1], status) == ("", MESSAGE, 1)
    lab.daemon.wait_for(AUDIT.format("ssh"))
    assert serves(lab)
    assert lab.run("1 + 1", user="admin") == ("2\n", "", 0)


def test_a_script_ends_with_the_statement_that_takes_too_long(lab: Lab) -> None:
    script = "print('before')\nwhile True:\n  pass\n\nprint('after')\n"
    out, err, status = lab.run(user="admin", stdin=script)
    assert (out, err.splitlines()[-1], status) == ("before\n", MESSAGE, 1)


def test_the_prompt_goes_on_after_an_endless_statement(lab: Lab) -> None:
    with lab.ssh("admin").terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        for _ in range(2):
            ssh.enter("while True: pass")
            ssh.wait_for(r"\.\.\. $")
            ssh.enter("")
            ssh.wait_for(rf"{MESSAGE}\r\n>>> $")
        ssh.enter("1 + 1")
        ssh.wait_for(r"\r\n2\r\n>>> $")
    assert serves(lab)


def test_the_prompt_over_telnet_goes_on_too(lab: Lab, tool: ToolFinder) -> None:
    with TerminalProgram([tool("telnet"), "127.0.0.1", str(port_of(lab.daemon))]) as telnet:
        telnet.wait_for("Username: ")
        telnet.enter("admin")
        telnet.wait_for("Password: ")
        telnet.enter(SECRET)
        telnet.wait_for(r">>> $")
        telnet.enter("any(None for _ in iter(int, 1))")
        telnet.wait_for(rf"{MESSAGE}\r\n>>> $")
    lab.daemon.wait_for(AUDIT.format("telnet"))


def test_a_statement_that_turns_the_reactor_does_not_harm_the_connections(lab: Lab) -> None:
    with connect(lab.daemon.port("echo")) as client:
        assert ask(client, b"before") == b"before"
        source = "while True: daemon._reactor.iterate(0)"
        assert lab.run(source, user="admin")[1].splitlines()[-1] == MESSAGE
        assert ask(client, b"after") == b"after"
    assert "Traceback" not in lab.daemon.output


def test_a_statement_that_returns_a_deferred_has_ended(lab: Lab) -> None:
    later = "from twisted.internet.task import deferLater; deferLater(daemon._reactor, 1, int)"
    out, err, status = lab.run(later, user="admin")
    assert out.splitlines()[-1] == "Deferred #0 fired: 0"
    assert (err, status) == ("", 0)


def test_ctrl_c_ends_the_statement_and_then_the_daemon(shop: Shop, tmp_path: Path) -> None:
    lab = shop.lab("0")
    with lab.ssh("admin").terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        ssh.enter(f"while not open({str(tmp_path / 'runs')!r}, 'w').close(): pass")
        ssh.wait_for(r"\.\.\. $")
        ssh.enter("")
        wait_until((tmp_path / "runs").exists)
        lab.daemon.send_signal(signal.SIGINT)
        ssh.wait_for(r"KeyboardInterrupt: SIGINT\r\n>>> $")
        assert serves(lab)
        assert lab.daemon.stop(signal.SIGINT) == 0


def test_sigterm_does_not_wait_for_a_statement(shop: Shop, tmp_path: Path) -> None:
    lab = shop.lab("0")
    with lab.ssh("admin").terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        ssh.enter(f"while not open({str(tmp_path / 'runs')!r}, 'w').close(): pass")
        ssh.enter("")
        wait_until((tmp_path / "runs").exists)
        began = time.monotonic()
        assert lab.daemon.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < DEADLINE / 2
    lab.daemon.wait_for("Admin command interrupted: .*KeyboardInterrupt: SIGTERM")
