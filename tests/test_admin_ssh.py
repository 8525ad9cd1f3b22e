"""The admin shell of a real daemon, with a real ssh: who gets in, and what it is like inside."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import bcrypt
import pytest

from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd, run_twistd
from tests.support_admin import SSH

pytestmark = pytest.mark.dependencies

INI = """\
[sockd]
state = var
[service:echo]
kind = multi
listen = tcp:0:interface=127.0.0.1
[admin]
ssh = tcp:0:interface=127.0.0.1
"""
SECRET = "geheim-ü"


def hash_of(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def make_key(tool: ToolFinder, tmp_path: Path) -> KeyMaker:
    return KeyMaker(tool("ssh-keygen", "openssh-client"), tmp_path)


class KeyMaker:
    """Makes key pairs: ``make_key("mine")``."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def __call__(self, name: str, sort: str = "ed25519") -> Path:
        """Return the file of a new private key; the public one has ``.pub`` behind."""
        path = self._folder / name
        words = [self._program, "-q", "-t", sort, "-N", "", "-f", str(path)]
        subprocess.run(words, check=True, timeout=DEADLINE)
        return path


class Lab:
    """A daemon with passwords, and an ssh that can reach it."""

    def __init__(self, daemon: Sockd, program: str, folder: Path) -> None:
        self.daemon = daemon
        self._program = program
        self._folder = folder

    def ssh(self, user: str = "admin") -> SSH:
        """Return the ssh of a user."""
        return SSH(self._program, self._folder, self.daemon.ssh_port, user)

    def run(self, *command: str, stdin: str = "", options: tuple[str, ...] = ()) -> list[object]:
        """Return output, errors and exit status of a command of somebody who is let in."""
        end = self.ssh().run(*command, password=SECRET, stdin=stdin, options=("-q", *options))
        return [end.stdout, end.stderr, end.returncode]


@pytest.fixture
def lab(run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path) -> Lab:
    passwd = tmp_path / "passwd"
    passwd.write_text(f"admin:{hash_of(SECRET)}\nnobody:{hash_of('')}\n", encoding="utf-8")
    daemon = run_sockd(f"{INI}passwd = {passwd}\n")
    return Lab(daemon, tool("ssh", "openssh-client"), tmp_path)


def test_the_right_password_gets_in_and_others_do_not(lab: Lab) -> None:
    assert lab.run("1+1") == ["2\n", "", 0]
    for user, password in (
        ("admin", "wrong"),
        ("admin", ""),
        ("nobody", ""),
        ("root", SECRET),
        ("admin", "x" * 73),
    ):
        end = lab.ssh(user).run("1+1", password=password)
        assert (end.stdout, end.returncode) == ("", 255)
        lab.daemon.wait_for(rf"Admin login refused: {user} from 127\.0\.0\.1:\d+ over ssh")
    lab.daemon.wait_for(r"Admin login: admin from 127\.0\.0\.1:\d+ over ssh, password")
    lab.daemon.wait_for(r"Admin logout: admin from 127\.0\.0\.1:\d+ over ssh")


def test_only_passwords_are_offered_where_there_are_only_passwords(
    lab: Lab, make_key: KeyMaker
) -> None:
    end = lab.ssh().run("1+1", key=make_key("mine"))
    assert end.returncode == 255
    assert "Permission denied (password)." in end.stderr


def test_no_method_at_all_does_not_get_in(lab: Lab) -> None:
    end = lab.ssh().run("1+1", options=("-o", "PasswordAuthentication=no"))
    assert end.returncode == 255
    assert "Permission denied (password)." in end.stderr


@pytest.mark.parametrize("sort", ["ed25519", "rsa", "ecdsa"])
def test_the_right_key_gets_in_and_others_do_not(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path, make_key: KeyMaker, sort: str
) -> None:
    mine, other = make_key("mine", sort), make_key("other", sort)
    daemon = run_sockd(f"{INI}user = eve\nauthorized_keys = {mine}.pub\n")
    program = tool("ssh", "openssh-client")
    ssh = SSH(program, tmp_path, daemon.ssh_port, "eve")
    assert ssh.run("1+1", key=mine).stdout == "2\n"
    refused = [
        ssh.run("1+1", key=other),
        SSH(program, tmp_path, daemon.ssh_port, "admin").run("1+1", key=mine),
        ssh.run("1+1", password=SECRET),
    ]
    assert [end.returncode for end in refused] == [255, 255, 255]
    assert all("Permission denied (publickey)." in end.stderr for end in refused)
    assert not (daemon.folder / "var" / "admin.htpasswd").exists()


def test_a_host_key_of_ones_own_is_used(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path, make_key: KeyMaker
) -> None:
    mine = make_key("host")
    daemon = run_sockd(f"{INI}host_key = {mine}\nauthorized_keys = {mine}.pub\n")
    ssh = SSH(tool("ssh", "openssh-client"), tmp_path, daemon.ssh_port)
    assert ssh.run("1+1", key=mine).returncode == 0
    public = mine.with_suffix(".pub").read_text(encoding="ascii").split()[1]
    assert public in ssh.known_hosts.read_text(encoding="ascii")
    assert not (daemon.folder / "var").exists()


def test_commands_end_with_a_status(lab: Lab) -> None:
    out, err, status = lab.run("services()")
    assert re.search(r"^echo +multi +echo +listening +127\.0\.0\.1:\d+ ", str(out), re.MULTILINE)
    assert (err, status) == ("", 0)
    out, err, status = lab.run("1/0")
    assert (out, status) == ("", 1)
    assert str(err).endswith("ZeroDivisionError: division by zero\n")
    out, err, status = lab.run("connection(99)")
    assert (out, status) == ("", 1)
    assert lab.run("import sys; sys.exit('enough')") == ["", "enough\n", 1]
    assert lab.run("exit()") == ["", "", 0]
    assert lab.run("exit(3)") == ["", "", 3]


def test_a_command_on_a_terminal_writes_lines_for_terminals(lab: Lab) -> None:
    with lab.ssh().terminal(SECRET, "print('one'); connection(99)") as ssh:
        ssh.wait_for("one\r\nno connection 99 ")
        assert ssh.wait() == 1


def test_a_script_on_standard_input_runs_statement_by_statement(lab: Lab) -> None:
    script = "x = 20\nif x:\n    print('yes')\nelse:\n    print('no')\nx + 1"
    assert lab.run(stdin=script) == ["yes\n21\n", "", 0]
    out, _, status = lab.run(stdin="print('first')\n1/0\nprint('never')\n")
    assert (out, status) == ("first\n", 1)
    out, _, status = lab.run(stdin="connection(99)\nprint('on')\n")
    assert (out, status) == ("on\n", 1)
    assert lab.run(stdin="exit()\nprint('never')\n") == ["", "", 0]


def test_a_statement_without_an_end_is_refused(lab: Lab) -> None:
    out, err, status = lab.run(stdin="x" * 1_100_000)
    assert (out, status) == ("", 1)
    assert "longer than" in str(err)


def test_more_output_than_a_window_arrives_whole(lab: Lab) -> None:
    out, _, status = lab.run("print('x' * 5_000_000)")
    assert (len(str(out)), status) == (5_000_001, 0)


def test_keys_are_exchanged_again_in_the_middle(lab: Lab) -> None:
    often = ("-o", "RekeyLimit=64K")
    script = "print('x' * 1000)\n" * 500
    out, _, status = lab.run(stdin=script, options=often)
    assert (len(str(out)), status) == (500_500, 0)


def test_a_long_stop_keeps_the_command_open_until_it_is_done(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.daemon.port("echo")), DEADLINE) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        out, _, status = lab.run("stop('echo')")
    assert status == 0
    assert str(out).splitlines() == [
        "echo has stopped listening; 1 open connections may finish",
        "echo is stopped",
    ]
    assert "echo listens on 127.0.0.1:" in str(lab.run("start('echo')")[0])


def test_the_shell_shows_what_the_services_see_and_not_itself(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.daemon.port("echo")), DEADLINE) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        out, _, _ = lab.run("connections()")
        [_, row] = str(out).splitlines()
        assert row.split()[:2] == ["1", "echo"]
        assert row.split()[4] == f"127.0.0.1:{client.getsockname()[1]}"
        assert lab.run("disconnect(1)")[2] == 0
        assert client.recv(1) == b""


def test_a_session_on_a_terminal(lab: Lab) -> None:
    with lab.ssh().terminal(SECRET) as ssh:
        ssh.wait_for(r"commands\(\) lists the commands\r\n>>> $")
        ssh.enter("x = 20")
        ssh.wait_for(r">>> $")
        ssh.resize(132, 50)
        ssh.tell_resized()
        ssh.enter("x + 1")
        ssh.wait_for(r"\r\n21\r\n>>> $")
        ssh.enter("status()")
        ssh.wait_for(r"reactor +\w+\r\n")
        ssh.wait_for(r">>> $")
        ssh.enter("exit()")
        assert ssh.wait() == 0
    assert "Error changing window size" not in lab.daemon.output
    assert lab.run("1+1") == ["2\n", "", 0]


@pytest.mark.parametrize("end", ["\x04", "quit()\r", "import sys; sys.exit()\r"])
def test_the_end_of_a_session_is_not_the_end_of_the_daemon(lab: Lab, end: str) -> None:
    with lab.ssh().terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        ssh.type(end)
        assert ssh.wait() == 0
    assert lab.run("1+1") == ["2\n", "", 0]


def test_sessions_do_not_share_names(lab: Lab) -> None:
    with lab.ssh().terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        ssh.enter("mine = 1")
        ssh.wait_for(r">>> $")
        assert lab.run("mine")[2] == 1


def test_nothing_but_sessions_can_be_opened(lab: Lab) -> None:
    end = lab.ssh().run(password=SECRET, options=("-W", "127.0.0.1:9"))
    assert end.returncode == 255
    assert "administratively prohibited" in end.stderr
    assert lab.run("1", options=("-s",))[2] != 0
    forward = ("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9")
    assert lab.run("1", options=forward)[2] == 255


def test_a_client_that_vanishes_leaves_nothing_behind(lab: Lab) -> None:
    with lab.ssh().terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
    lab.daemon.wait_for("Admin logout: admin")
    assert lab.run("1+1") == ["2\n", "", 0]


def test_at_shutdown_the_sessions_end_and_the_exit_status_is_0(lab: Lab) -> None:
    with lab.ssh().terminal(SECRET) as ssh:
        ssh.wait_for(r">>> $")
        assert lab.daemon.stop(signal.SIGTERM) == 0
        assert ssh.wait() == 255
        assert "the daemon is shutting down" in ssh.screen


def test_noise_at_the_door_is_no_traceback(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.daemon.ssh_port), DEADLINE) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n" * 400)
        while client.recv(65536):
            pass
    assert lab.run("1+1") == ["2\n", "", 0]


def test_nothing_is_asked_while_keys_are_exchanged(lab: Lab) -> None:
    lists = [b"curve25519-sha256", b"ssh-ed25519", *[b"aes256-ctr"] * 2, *[b"hmac-sha2-256"] * 2]
    lists += [b"none", b"none", b"", b""]
    kexinit = bytes(16) + b"".join(struct.pack(">L", len(one)) + one for one in lists) + bytes(5)
    with socket.create_connection(("127.0.0.1", lab.daemon.ssh_port), DEADLINE) as client:
        client.sendall(b"SSH-2.0-hasty\r\n" + packet(20, kexinit) + packet(80, b"\0\0\0\1x\1"))
        with suppress(ConnectionResetError):
            while client.recv(65536):
                pass
    lab.daemon.wait_for(r"over ssh: .*a message during a key exchange")


def packet(number: int, payload: bytes) -> bytes:
    """Return a packet that is not encrypted (RFC 4253, 6)."""
    padding = 4 + -(len(payload) + 10) % 8
    length = len(payload) + padding + 2
    return struct.pack(">LBB", length, padding, number) + payload + bytes(padding)


def test_a_problem_in_a_file_is_said_before_the_start(tmp_path: Path, make_key: KeyMaker) -> None:
    path = tmp_path / "keys"
    public = make_key("mine").with_suffix(".pub").read_text(encoding="ascii")
    path.write_text(f'command="ls" {public}', encoding="ascii")
    (tmp_path / "a.ini").write_text(f"{INI}authorized_keys = keys\n", encoding="utf-8")
    for words in (["--check"], []):
        end = run_twistd("-n", "sockd", "-c", "a.ini", *words, folder=tmp_path)
        assert end.returncode == 1
        assert "keys:1: the option 'command' is not supported by the admin shell" in end.stderr
        assert "Traceback" not in end.stderr


def test_a_state_directory_that_is_open_stops_the_start(tmp_path: Path) -> None:
    state = tmp_path / "var"
    state.mkdir(0o755)
    (state / "thesis.tex").touch()
    (tmp_path / "a.ini").write_text(INI, encoding="utf-8")
    end = run_twistd("-n", "sockd", "-c", "a.ini", folder=tmp_path)
    assert end.returncode == 1
    assert "chmod 700" in end.stderr
    assert "Traceback" not in end.stderr
