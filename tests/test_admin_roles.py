"""The two roles of a real daemon: what a viewer is let do, and how everybody is limited."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd, run_twistd, wait_until
from tests.support_admin import SSH
from tests.test_admin_ssh import INI, KeyMaker
from tests.test_admin_telnet import Wire, port_of

SECRET = "geheim"
TELNET = "telnet = tcp:0:interface=127.0.0.1\n"


def line(user: str, password: str = SECRET) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


class Lab:
    """A daemon with an admin and viewers, and the ssh of each."""

    def __init__(self, run_sockd: RunSockd, program: str, folder: Path, more: str = "") -> None:
        (folder / "passwd").write_text(line("admin"), encoding="utf-8")
        viewers = folder / "viewers"
        if not viewers.exists():
            viewers.write_text(line("mary"), encoding="utf-8")
        self.daemon: Sockd = run_sockd(
            f"{INI}{TELNET}passwd = {folder}/passwd\nviewers = {viewers}\n{more}"
        )
        self._program = program
        self._folder = folder

    def ssh(self, user: str) -> SSH:
        """Return the ssh of a user."""
        return SSH(self._program, self._folder, self.daemon.ssh_port, user)

    def run(self, *command: str, user: str = "mary", stdin: str = "") -> tuple[str, str, int]:
        """Return what comes of a command."""
        end = self.ssh(user).run(*command, password=SECRET, stdin=stdin, options=("-q",))
        return end.stdout, end.stderr, end.returncode


@pytest.fixture
def make_key(tool: ToolFinder, tmp_path: Path) -> KeyMaker:
    return KeyMaker(tool("ssh-keygen", "openssh-client"), tmp_path)


@pytest.fixture
def lab(run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path) -> Lab:
    return Lab(run_sockd, tool("ssh", "openssh-client"), tmp_path)


def test_a_viewer_reads_and_does_nothing_else(lab: Lab) -> None:
    out, err, status = lab.run("services()")
    assert re.search(r"^echo +multi +echo +listening ", out, re.MULTILINE)
    assert (err, status) == ("", 0)
    for command in ("stop('echo')", "daemon", "1+1", "__import__('os').getpid()", "services()\n1"):
        out, err, status = lab.run(command)
        assert (out, status) == ("", 1)
        assert err.count("\n") == 1
    assert lab.run("exit()") == ("", "", 0)
    lab.daemon.wait_for(r"Admin login: mary \(viewer\) from 127\.0\.0\.1:\d+ over ssh, password")
    lab.daemon.wait_for(r"Admin command: mary \(viewer\) from 127\.0\.0\.1:\d+ over ssh: stop\('ec")
    lab.daemon.wait_for(r"Admin command: mary .*: services\(\)\\n1$")
    lab.daemon.wait_for(r"Admin logout: mary \(viewer\)")


def test_a_viewer_pipes_lines_in_and_sees_where_they_fail(lab: Lab) -> None:
    out, err, status = lab.run(stdin="status()\n\nservices()\n")
    assert out.count("echo") == 2
    assert (err, status) == ("", 0)
    out, err, status = lab.run(stdin="import os\nservices()\n")
    assert out == ""
    assert err.startswith("'import os' is not a command")
    assert status == 1


def test_a_viewer_at_a_prompt(lab: Lab) -> None:
    with lab.ssh("mary").terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        ssh.enter("daemon.services")
        ssh.wait_for(r"'daemon\.services' is not a command \(.*\)\r\n>>> $")
        ssh.enter("services()")
        ssh.wait_for(r"echo +multi .*\r\n>>> $")
        ssh.enter("exit()")
        assert ssh.wait() == 0


def test_a_viewer_over_telnet(lab: Lab) -> None:
    with Wire(port_of(lab.daemon)) as wire:
        wire.log_in(b"mary")
        wire.until(b">>> ")
        wire.socket.sendall(b"1+1\r\nstatus()\r\n")
        assert b"'1+1' is not a command" in wire.until(b"reactor")


def test_a_key_of_a_viewer_belongs_to_the_user_viewer(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path, make_key: KeyMaker
) -> None:
    mine, theirs = make_key("mine"), make_key("theirs")
    public = theirs.with_suffix(".pub").read_text(encoding="ascii")
    (tmp_path / "viewers").write_text(f"# readers\n{public}{line('mary')}", encoding="utf-8")
    lab = Lab(run_sockd, tool("ssh"), tmp_path, f"authorized_keys = {mine}.pub\n")
    assert lab.ssh("viewer").run("status()", key=theirs).returncode == 0
    assert lab.ssh("viewer").run("1+1", key=theirs).returncode == 1
    assert lab.ssh("admin").run("1+1", key=mine).stdout == "2\n"
    for user, key in (("admin", theirs), ("viewer", mine), ("mary", theirs)):
        assert lab.ssh(user).run("status()", key=key).returncode == 255
    fingerprint = r"publickey SHA256:[A-Za-z0-9+/]{43}$"
    lab.daemon.wait_for(rf"Admin login: viewer \(viewer\) from \S+ over ssh, {fingerprint}")
    lab.daemon.wait_for(rf"Admin login refused: admin from \S+ over ssh, {fingerprint}")


def test_what_is_wrong_with_the_viewers_is_said_before_the_start(
    tmp_path: Path, make_key: KeyMaker
) -> None:
    key = make_key("mine").with_suffix(".pub").read_text(encoding="ascii")
    (tmp_path / "keys").write_text(key, encoding="utf-8")
    (tmp_path / "passwd").write_text(line("root"), encoding="utf-8")
    viewers = f"\n{key}{line('root')}{line('admin')}{line('mary')}nonsense\n"
    (tmp_path / "viewers").write_text(viewers, encoding="utf-8")
    files = "authorized_keys = keys\npasswd = passwd\nviewers = viewers, missing\n"
    (tmp_path / "a.ini").write_text(f"{INI}{files}", encoding="utf-8")
    end = run_twistd("-n", "sockd", "-c", "a.ini", "--check", folder=tmp_path)
    assert end.returncode == 1
    path = tmp_path / "viewers"
    twice = "is also an admin, by user or passwd (use separate ones for each role)"
    neither = "the line is neither a public key nor USER:HASH (one public key a line,"
    said = end.stderr.splitlines()
    assert said[0] == (
        f"{path}:2: the viewer's key is also in authorized_keys (use separate ones for each role)"
    )
    assert said[1:3] == [
        f"{path}:3: the viewer 'root' {twice}",
        f"{path}:4: the viewer 'admin' {twice}",
    ]
    assert said[3].startswith(f"{path}:6: {neither}")
    assert "[admin] viewers: " in end.stderr
    assert "cannot be read: No such file" in end.stderr


def test_guesses_wait_and_keys_do_not(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path, make_key: KeyMaker
) -> None:
    mine = make_key("mine")
    lab = Lab(run_sockd, tool("ssh"), tmp_path, f"authorized_keys = {mine}.pub\n")
    ssh = lab.ssh("admin")
    for _ in range(4):
        assert ssh.run("1+1", password="wrong").returncode == 255
    start = time.monotonic()
    assert ssh.run("1+1", key=mine).returncode == 0
    with_key = time.monotonic() - start
    start = time.monotonic()
    assert ssh.run("1+1", password=SECRET).returncode == 0
    assert time.monotonic() - start > 1
    assert with_key < DEADLINE


def test_one_session_too_many_is_told_so(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    lab = Lab(run_sockd, tool("ssh"), tmp_path, "max_sessions = 2\n")
    with lab.ssh("mary").terminal(SECRET) as first:
        first.wait_for(r">>> $")
        end = lab.ssh("mary").run("status()", password=SECRET)
        assert end.returncode == 255
        assert "the limit of 2 sessions is reached" in end.stderr
        lab.daemon.wait_for("Admin login refused: mary .*: too many sessions")
        with lab.ssh("admin").terminal(SECRET) as second:
            second.wait_for(r">>> $")
            with Wire(port_of(lab.daemon)) as wire:
                wire.log_in()
                assert b"The limit of 2 sessions is reached" in wire.rest()
    lab.daemon.wait_for("Admin logout: mary")
    wait_until(lambda: lab.run("status()")[2] == 0)


def test_who_presses_no_key_is_shown_out(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    lab = Lab(run_sockd, tool("ssh"), tmp_path, "idle_timeout = 2s\n")
    with lab.ssh("mary").terminal(SECRET) as ssh, Wire(port_of(lab.daemon)) as wire:
        wire.log_in()
        ssh.wait_for(r">>> $")
        assert ssh.wait() == 255
        assert "no input for 2.0s" in ssh.screen
        assert b"No input for 2.0s" in wire.rest()
    lab.daemon.wait_for(r"Admin idle timeout: mary \(viewer\)")


def test_the_doors_stay_open_for_others_while_strangers_drip_bytes(lab: Lab) -> None:
    """More unauthenticated clients than the limit; they are reported in the log and closed."""
    strangers = [
        socket.create_connection(("127.0.0.1", lab.daemon.ssh_port), DEADLINE) for _ in range(21)
    ]
    lab.daemon.wait_for("Admin connection refused: 127.0.0.1:")
    for stranger in strangers:
        stranger.close()
    wait_until(lambda: lab.run("status()")[2] == 0)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(
    data=st.one_of(
        st.binary(max_size=2000),
        st.binary(max_size=600).map(lambda noise: b"SSH-2.0-noise\r\n" + noise),
        st.tuples(st.integers(1, 100), st.binary(min_size=1, max_size=300)).map(
            lambda pair: b"SSH-2.0-x\r\n" + packet(bytes([pair[0]]) + pair[1])
        ),
        st.lists(
            st.sampled_from(
                [
                    *(
                        b"\xff",
                        b"\xfa",
                        b"\xf0",
                        b"\xfb",
                        b"\xfd",
                        b"\x1f",
                        b"\x00",
                        b"\x1b[",
                        b"\r",
                    ),
                    *(b"mary\r\n", SECRET.encode() + b"\r\n", b"services()\r\n", b"\x7f", b"\x03"),
                ]
            ),
            max_size=40,
        ).map(b"".join),
    )
)
def test_noise_at_both_doors_is_no_unhandled_error(lab: Lab, data: bytes) -> None:
    """The daemon's log is read at the end of each test: a traceback in it fails this one."""
    for port in (lab.daemon.ssh_port, port_of(lab.daemon)):
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE) as client,
            suppress(OSError),  # it may be cut off at any byte
        ):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
    assert "Traceback" not in lab.daemon.output
    assert "Unhandled" not in lab.daemon.output


def packet(payload: bytes) -> bytes:
    """Return a packet as it looks before the first key exchange (RFC 4253, 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    length = len(payload) + padding + 1
    return length.to_bytes(4) + bytes([padding]) + payload + bytes(padding)
