"""The admin shell of a real daemon over telnet: with a real telnet, and with plain bytes."""

from __future__ import annotations

import socket
from pathlib import Path

import bcrypt
import pytest

from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd
from tests.support_admin import TerminalProgram

pytestmark = pytest.mark.dependencies

SECRET = "geheim"
INI = """\
[sockd]
state = var
[service:echo]
kind = multi
listen = tcp:0:interface=127.0.0.1
[admin]
ssh = tcp:0:interface=127.0.0.1
telnet = tcp:0:interface=127.0.0.1
    unix:shell
"""
IAC_DO_NAWS = b"\xff\xfd\x1f"
IAC_WILL_NAWS = b"\xff\xfb\x1f"
IAC_WONT_NAWS = b"\xff\xfc\x1f"
IAC_DONT_ECHO = b"\xff\xfe\x01"
IAC_DO_ECHO = b"\xff\xfd\x01"
NAWS_132_50 = b"\xff\xfa\x1f\x00\x84\x00\x32\xff\xf0"
NAWS_BROKEN = b"\xff\xfa\x1f\x00\xff\xf0"


@pytest.fixture
def daemon(run_sockd: RunSockd, tmp_path: Path) -> Sockd:
    known = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
    empty = bcrypt.hashpw(b"", bcrypt.gensalt(4)).decode()
    passwd = tmp_path / "passwd"
    passwd.write_text(f"admin:{known}\nnobody:{empty}\n", encoding="utf-8")
    return run_sockd(f"{INI}passwd = {passwd}\n")


def port_of(daemon: Sockd) -> int:
    return int(daemon.wait_for(r"admin: telnet \S+ (\d+)")[1])


class Wire:
    """A client that speaks in bytes."""

    def __init__(self, address: int | Path) -> None:
        if isinstance(address, Path):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(DEADLINE)
            self.socket.connect(str(address))
        else:
            self.socket = socket.create_connection(("127.0.0.1", address), DEADLINE)
        self.heard = b""

    def __enter__(self) -> Wire:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.socket.close()

    def until(self, text: bytes) -> bytes:
        """Return what comes up to a text."""
        while text not in self.heard:
            data = self.socket.recv(65536)
            assert data, self.heard
            self.heard += data
        before, _, self.heard = self.heard.partition(text)
        return before

    def rest(self) -> bytes:
        """Return what comes until the daemon hangs up."""
        while data := self.socket.recv(65536):
            self.heard += data
        return self.heard

    def log_in(self, user: bytes = b"admin", password: bytes = SECRET.encode()) -> None:
        """Answer the two questions."""
        self.until(b"Username: ")
        self.socket.sendall(user + b"\r\n")
        self.until(b"Password: ")
        self.socket.sendall(password + b"\r\n")


def test_a_real_telnet_gets_in_with_the_right_password(daemon: Sockd, tool: ToolFinder) -> None:
    words = [tool("telnet"), "127.0.0.1", str(port_of(daemon))]
    with TerminalProgram(words) as telnet:
        telnet.wait_for("Username: ")
        telnet.enter("admin")
        telnet.wait_for("Password: ")
        telnet.enter("wrong")
        telnet.wait_for("Login incorrect\r\nUsername: ")
        telnet.enter("admin")
        telnet.wait_for("Password: ")
        telnet.enter(SECRET)
        telnet.wait_for(r"commands\(\) lists the commands\r\n>>> $")
        telnet.enter("20 + 1")
        telnet.wait_for(r"\r\n21\r\n>>> $")
        telnet.resize(132, 50)
        telnet.tell_resized()
        telnet.enter("exit()")
        telnet.wait_for("Connection closed by foreign host")
        telnet.wait()
    assert SECRET not in telnet.screen
    daemon.wait_for(r"Admin login refused: admin from 127\.0\.0\.1:\d+ over telnet")
    daemon.wait_for(r"Admin login: admin from 127\.0\.0\.1:\d+ over telnet, password")
    daemon.wait_for(r"Admin logout: admin from 127\.0\.0\.1:\d+ over telnet")


def test_the_third_wrong_password_closes_the_connection(daemon: Sockd) -> None:
    with Wire(port_of(daemon)) as wire:
        wire.log_in(b"admin", b"wrong")
        wire.log_in(b"nobody", b"")
        wire.log_in(b"root", SECRET.encode())
        assert wire.rest().endswith(b"Login incorrect\r\n")


def test_what_is_typed_ahead_is_no_further_try(daemon: Sockd) -> None:
    with Wire(port_of(daemon)) as wire:
        right = b"admin\n" + SECRET.encode() + b"\n20+1\n"
        wire.socket.sendall(b"admin\nwrong\n" * 3 + right)
        heard = wire.rest()
    assert heard.count(b"Password: ") == 3
    assert b"21" not in heard
    with Wire(port_of(daemon)) as wire:
        wire.socket.sendall(b"admin\nwrong\n" * 2 + right)
        wire.until(b"\r\n21\r\n>>> ")


def test_ctrl_d_ends_the_session_and_not_the_daemon(daemon: Sockd) -> None:
    for _ in range(2):
        with Wire(port_of(daemon)) as wire:
            wire.log_in()
            wire.until(b">>> ")
            wire.socket.sendall(b"\x04")
            assert wire.rest().endswith(b"\r\n")


def test_a_client_without_negotiation_gets_in_through_a_unix_socket(daemon: Sockd) -> None:
    path = daemon.folder / "shell"
    assert path.stat().st_mode & 0o777 == 0o600
    with Wire(path) as wire:
        wire.until(b"Username: ")
        wire.socket.sendall(b"\nadmim\b")
        wire.socket.sendall(b"n\n")
        wire.until(b"Password: ")
        wire.socket.sendall(SECRET.encode() + b"\n20+1\n")
        wire.until(b"\r\n21\r\n>>> ")
    daemon.wait_for("Admin login: admin from a unix client over telnet")
    daemon.wait_for("Admin logout: admin from a unix client over telnet")


def test_options_are_agreed_on_or_not_and_the_shell_works(daemon: Sockd) -> None:
    with Wire(port_of(daemon)) as wire:
        wire.log_in()
        wire.until(IAC_DO_NAWS)
        wire.socket.sendall(IAC_DO_ECHO + IAC_WILL_NAWS + NAWS_132_50 + NAWS_BROKEN)
        wire.socket.sendall(b"20+1\r\n")
        wire.until(b"\r\n21\r\n>>> ")
        wire.socket.sendall(IAC_DONT_ECHO + IAC_WONT_NAWS + b"30+1\r\0")
        wire.until(b"\r\n31\r\n>>> ")
    daemon.wait_for("Admin logout")


def test_a_refused_option_is_no_traceback(daemon: Sockd) -> None:
    with Wire(port_of(daemon)) as wire:
        wire.log_in()
        wire.until(IAC_DO_NAWS)
        wire.socket.sendall(IAC_DONT_ECHO + IAC_WONT_NAWS + b"1+1\r\n")
        wire.until(b"2\r\n>>> ")


def test_a_line_without_an_end_is_cut_and_ctrl_c_hangs_up(daemon: Sockd) -> None:
    with Wire(port_of(daemon)) as wire:
        wire.until(b"Username: ")
        wire.socket.sendall(b"x" * 100_000 + b"\x03")
        assert wire.rest() == b""


def test_who_hangs_up_while_the_password_is_judged_is_not_let_in(daemon: Sockd) -> None:
    for password in (b"wrong", SECRET.encode()):
        with Wire(port_of(daemon)) as wire:
            wire.log_in(password=password)
    with Wire(port_of(daemon)) as wire:
        wire.log_in()
        wire.until(b">>> ")


def test_at_shutdown_the_sessions_end(daemon: Sockd) -> None:
    with Wire(port_of(daemon)) as wire:
        wire.log_in()
        wire.until(b">>> ")
        daemon.stop()
        assert b"The daemon is shutting down.\r\n" in wire.rest()
