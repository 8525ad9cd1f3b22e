"""The live views of a real daemon, through the real ssh and telnet on a pseudo-terminal."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, wait_until
from tests.support_admin import TerminalProgram
from tests.test_admin_roles import SECRET, Lab
from tests.test_admin_telnet import port_of

OBSERVERS = "print(len(daemon.ledger._observers))"
LEAVE = re.escape("\x1b[?1049l")


@pytest.fixture
def lab(run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path) -> Lab:
    return Lab(run_sockd, tool("ssh", "openssh-client"), tmp_path)


@contextmanager
def client_of(lab: Lab) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", lab.daemon.port("echo")), DEADLINE) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        yield client


@contextmanager
def prompt(lab: Lab, user: str) -> Iterator[TerminalProgram]:
    with lab.ssh(user).terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        yield ssh


def observers(lab: Lab) -> str:
    return lab.run(OBSERVERS, user="admin")[0]


@pytest.mark.parametrize("user", ["admin", "mary"])
def test_top_redraws_itself_until_a_key_is_pressed(lab: Lab, user: str) -> None:
    with client_of(lab) as client, prompt(lab, user) as ssh:
        ssh.enter("top()")
        ssh.wait_for(re.escape("\x1b[?1049h"))
        ssh.wait_for(rf"\x1b\[H\S+  up .*1 open[\s\S]*127\.0\.0\.1:{client.getsockname()[1]} ")
        client.sendall(b"x" * 1000)
        ssh.wait_for(r"1005 bytes in[\s\S]*echo .* 1005 ")
        ssh.wait_for(r"\x1b\[H[\s\S]*\x1b\[H")
        ssh.type("\x1b[A")
        ssh.wait_for(rf"{LEAVE}>>> $")
        ssh.enter("status()")
        ssh.wait_for(r"\r\nreactor +\w+\r\n[\s\S]*>>> $")
        ssh.enter("exit()")
        assert ssh.wait() == 0


def test_top_follows_the_window(lab: Lab) -> None:
    with client_of(lab), prompt(lab, "mary") as ssh:
        ssh.enter("top('age')")
        ssh.wait_for(r"bytes/s\x1b\[K\r\n")
        ssh.resize(20, 6)
        ssh.tell_resized()
        ssh.wait_for(r"\x1b\[H[^\r]{0,20}\x1b\[K\r\n[^\r]{20}\x1b\[K\r\n\x1b\[K\r\n")
        ssh.type("q")
        ssh.wait_for(rf"{LEAVE}>>> $")


def test_watch_tells_what_happens_until_a_key_is_pressed(lab: Lab) -> None:
    before = observers(lab)
    with prompt(lab, "mary") as ssh:
        ssh.enter("watch()")
        ssh.wait_for("any key ends this\r\n")
        with client_of(lab) as client:
            ends = rf"127\.0\.0\.1:{client.getsockname()[1]} on 127\.0\.0\.1:\d+"
            ssh.wait_for(rf"^\d\d:\d\d:\d\d\.\d\d\dZ Connected by {ends} \(echo #1\)\r\n")
        ssh.wait_for(rf"Closed {ends}: eof, 5 bytes in, 5 out \(echo #1\)\r\n")
        assert observers(lab) != before
        ssh.type(" ")
        ssh.wait_for(r"^>>> $")
        assert observers(lab) == before


@pytest.mark.parametrize("command", ["top()", "watch()"])
def test_nothing_is_left_of_a_session_that_drops(lab: Lab, command: str) -> None:
    before = observers(lab)
    with prompt(lab, "mary") as ssh:
        ssh.enter(command)
        ssh.wait_for("any key ends this")
    lab.daemon.wait_for("Admin logout: mary")
    wait_until(lambda: observers(lab) == before)
    timers = "print([c for c in __import__('twisted.internet.reactor').internet.reactor"
    timers += ".getDelayedCalls() if 'commands.top' in str(c) or 'commands.watch' in str(c)])"
    assert lab.run(timers, user="admin")[0] == "[]\n"


def test_an_observer_that_fails_is_in_the_log_and_clients_do_not_notice(lab: Lab) -> None:
    lab.daemon.may_fail = True
    lab.run("forget = daemon.ledger.subscribe(lambda event: 1 / 0)", user="admin")
    with client_of(lab):
        lab.daemon.wait_for(r"An observer of the ledger failed\n[\s\S]*ZeroDivisionError")
    lab.daemon.wait_for(r"Closed .*: eof, 5 bytes in, 5 out \(echo #1\)")


def test_at_shutdown_the_screen_is_brought_back_first(lab: Lab) -> None:
    with prompt(lab, "mary") as ssh:
        ssh.enter("top()")
        ssh.wait_for("any key ends this")
        assert lab.daemon.stop(signal.SIGTERM) == 0
        ssh.wait_for(LEAVE)
        ssh.wait_for("the daemon is shutting down")
        assert ssh.wait() == 255


def test_pictures_are_no_keys_so_an_idle_top_ends(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    lab = Lab(run_sockd, tool("ssh"), tmp_path, "idle_timeout = 3s\n")
    with prompt(lab, "mary") as ssh:
        ssh.enter("top()")
        ssh.wait_for("any key ends this")
        ssh.wait_for(LEAVE)
        ssh.wait_for("no input for 3.0s")


def test_top_as_a_command_is_one_table_or_live_with_a_terminal(lab: Lab) -> None:
    with client_of(lab):
        out, err, status = lab.run("top('bytes')")
        assert re.search(r"^ *1 +echo .* 5 +5 +-$", out, re.MULTILINE)
        assert (err, status) == ("", 0)
        with lab.ssh("mary").terminal(SECRET, "top()") as ssh:
            ssh.wait_for("any key ends this")
            ssh.wait_for(r"\x1b\[H")
            ssh.resize(30, 7)
            ssh.tell_resized()
            ssh.wait_for(r"\x1b\[H[^\r]{0,30}\x1b\[K\r\n[^\r]{30}\x1b\[K\r\n")
            ssh.type("q")
            ssh.wait_for(LEAVE)
            assert ssh.wait() == 0


def test_watch_as_a_command_goes_on_without_a_terminal(lab: Lab) -> None:
    before = observers(lab)
    ssh = lab.ssh("mary")
    words = [*ssh.words(*ssh.password_options(), "-T"), "watch()"]
    with TerminalProgram(words, ssh.environment(SECRET)) as program:
        wait_until(lambda: observers(lab) != before)
        with client_of(lab):
            program.wait_for(r"Z Connected by .* \(echo #1\)")
    wait_until(lambda: observers(lab) == before)


def test_telnet_has_the_live_views_too(lab: Lab, tool: ToolFinder) -> None:
    words = [tool("telnet"), "127.0.0.1", str(port_of(lab.daemon))]
    with TerminalProgram(words) as telnet:
        telnet.wait_for("Username: ")
        telnet.enter("mary")
        telnet.wait_for("Password: ")
        telnet.enter(SECRET)
        telnet.wait_for(r">>> $")
        telnet.enter("top()")
        telnet.wait_for("any key ends this")
        telnet.resize(25, 7)
        telnet.tell_resized()
        telnet.wait_for(r"\x1b\[H[^\r]{0,25}\x1b\[K\r\n[^\r]{25}\x1b\[K\r\n")
        telnet.type("q")
        telnet.wait_for(rf"{LEAVE}>>> $")
