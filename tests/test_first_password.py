"""The first password is for a terminal, or for a file of its owner; never for a log."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

import pytest

from sockd.admin.auth.first_password import FirstPassword
from sockd.admin.auth.grants import KEY, PASSWORD, Grant
from sockd.admin.auth.passwords import PasswordTable
from sockd.admin.auth.roles import Role
from sockd.process.state import FIRST_PASSWORD, HOST_KEY, StateDirectory
from sockd.process.state import PASSWORD as HASH
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, environment_for, wait_until
from tests.support_admin import SSH, TerminalProgram
from tests.test_admin_ssh import INI, hash_of

SHOWN = r"admin: the password is (\S+) and is not shown again\r?\n"
NOBODY = ("--uid", "65534", "--gid", "65534")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


class Lab:
    """A folder with a configuration, a daemon in the background, and what they leave there."""

    def __init__(self, folder: Path, ssh: str) -> None:
        self.folder = folder
        self.log = folder / "twistd.log"
        self.state = folder / "var"
        self._ssh = ssh
        (folder / "a.ini").write_text(INI, encoding="utf-8")

    @property
    def password_file(self) -> Path:
        """Where a password is that could not be shown."""
        return self.state / FIRST_PASSWORD

    def words(self, *options: str) -> str:
        """Return the command line of a user who leaves umask(2) at its default."""
        words = [TWISTD, *options, "--pidfile", "a.pid", "sockd", "-c", "a.ini"]
        return f"cd {quote(str(self.folder))}; umask 022; exec {' '.join(map(quote, words))}"

    @contextmanager
    def started(self, *options: str) -> Iterator[None]:
        """Start a daemon without a terminal, wait until it is up, and stop it."""
        self.log.unlink(missing_ok=True)
        environment = environment_for(self.folder, {"COVERAGE_PROCESS_CONFIG": ""})
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", self.words(*options)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        with self.running():
            yield
        process.wait(DEADLINE)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Wait until a daemon is up that was started some way, and end it."""
        pidfile = self.folder / "a.pid"
        wait_until(lambda: "admin: ssh" in self.logged(), "the banner")
        pid = int(pidfile.read_text(encoding="ascii"))
        try:
            yield
        finally:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not pidfile.exists(), "the end of the daemon")

    def logged(self) -> str:
        """Return all that has come out of the daemon into files."""
        files = [self.folder / "output", self.log]
        return "".join(one.read_text(encoding="utf-8") for one in files if one.exists())

    def log_in(self, password: str) -> str:
        """Return what a command prints to somebody with a password."""
        [*_, port] = re.findall(r"admin: ssh -p (\d+) ", self.logged())
        return SSH(self._ssh, self.folder, int(port)).run("1+1", password=password).stdout


@pytest.fixture
def lab(tmp_path: Path, tool: ToolFinder) -> Lab:
    return Lab(tmp_path, tool("ssh", "openssh-client"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    "options", [(), ("-n",), ("-n", "--logfile=twistd.log")], ids=["daemon", "pipe", "logfile"]
)
def test_without_a_terminal_it_is_in_a_file_until_the_first_login(
    lab: Lab, options: tuple[str, ...]
) -> None:
    with lab.started(*options):
        where = f"admin: the first password is in {lab.password_file} until it is used"
        wait_until(lambda: where in lab.logged())
        password = lab.password_file.read_text(encoding="utf-8").rstrip("\n")
        assert (mode(lab.password_file), mode(lab.state)) == (0o600, 0o700)
        assert lab.log_in("wrong") == ""
        assert lab.password_file.exists()
        assert lab.log_in(password) == "2\n"
        wait_until(lambda: "The first password was used" in lab.logged())
        assert not lab.password_file.exists()
        assert lab.log_in(password) == "2\n"
        assert password not in lab.logged()
        assert password not in (lab.state / HASH).read_text(encoding="utf-8")


def test_a_second_start_says_where_it_is_or_how_to_get_another(lab: Lab) -> None:
    with lab.started():
        password = lab.password_file.read_text(encoding="utf-8").rstrip("\n")
        key = (lab.state / HOST_KEY).read_bytes()
    with lab.started():
        wait_until(lambda: f"the first password is in {lab.password_file} until" in lab.logged())
        assert lab.log_in(password) == "2\n"
        assert (lab.state / HOST_KEY).read_bytes() == key
    with lab.started():
        hint = f"is not shown again; for a new one, delete {lab.state / HASH} and restart"
        wait_until(lambda: hint in lab.logged())
        assert password not in lab.logged()
    (lab.state / HASH).unlink()
    with lab.started():
        assert lab.password_file.read_text(encoding="utf-8").rstrip("\n") != password
        assert lab.log_in(password) == ""


@pytest.mark.parametrize(
    ("options", "redirected"),
    [
        ((), ""),
        (("-n", "--logfile=twistd.log"), ""),
        (("-n",), " > output"),
        (("-n",), " 2> errors"),
    ],
    ids=["daemon", "logfile", "output", "errors"],
)
def test_on_a_terminal_it_is_shown_once_and_is_in_no_file(
    lab: Lab, options: tuple[str, ...], redirected: str
) -> None:
    command = ["sh", "-c", lab.words(*options) + redirected]
    with TerminalProgram(command, environment_for(lab.folder)) as window:
        password = window.wait_for(SHOWN)[1]
        if "2>" in redirected:  # then the log is on the terminal too
            window.wait_for(r"admin: ssh -p \d+")
            (lab.folder / "output").write_text(window.screen, encoding="utf-8")
            assert window.screen.count(password) == 1
        with lab.running():
            assert not lab.password_file.exists()
            assert lab.log_in(password) == "2\n"
    if "2>" not in redirected:
        assert password not in lab.logged()
    assert "first password" not in lab.logged()


def test_a_daemon_shows_it_before_the_shell_of_the_person_goes_on(lab: Lab) -> None:
    command = ["sh", "-c", f"({lab.words()}); echo over"]
    with TerminalProgram(command, environment_for(lab.folder)) as window:
        window.wait_for(SHOWN + r"over\r\n")
        with lab.running():
            pass


@pytest.fixture
def open_lab(tool: ToolFinder) -> Iterator[Lab]:
    """Return a lab in a folder that the user nobody can reach, and own."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        os.chown(folder, *map(int, NOBODY[1::2]))
        yield Lab(Path(folder), tool("ssh", "openssh-client"))


@as_root
def test_what_root_makes_belongs_to_the_user_that_the_daemon_becomes(open_lab: Lab) -> None:
    lab = open_lab
    with lab.started(*NOBODY):
        password = lab.password_file.read_text(encoding="utf-8").rstrip("\n")
        made = [lab.state, *lab.state.iterdir()]
        assert {(one.stat().st_uid, one.stat().st_gid) for one in made} == {(65534, 65534)}
        assert mode(lab.password_file) == 0o600
        assert lab.log_in(password) == "2\n"
        wait_until(lambda: not lab.password_file.exists())
    with lab.started(*NOBODY):
        assert lab.log_in(password) == "2\n"


def test_with_keys_or_passwords_of_ones_own_none_is_made(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    passwd = tmp_path / "passwd"
    passwd.write_text(f"admin:{hash_of('x')}\n", encoding="utf-8")
    sockd = run_sockd(f"{INI}passwd = {passwd}\n")
    assert "password is" not in sockd.output
    assert {one.name for one in (sockd.folder / "var").iterdir()} == {HOST_KEY}


class Screen:
    """A terminal that can go away.

    :ivar shown: what was printed on it.
    """

    def __init__(self, *, is_there: bool = True) -> None:
        self.is_there = is_there
        self.shown: list[str] = []

    def show(self, text: str) -> bool:
        """Print, if it is there."""
        if self.is_there:
            self.shown.append(text)
        return self.is_there


def kept(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def test_when_the_terminal_goes_away_during_the_start_a_file_has_to_do(tmp_path: Path) -> None:
    screen = Screen()
    first = FirstPassword(StateDirectory(tmp_path), screen)
    known = first.find_or_make("admin")
    assert kept(tmp_path) == {HASH}
    screen.is_there = False
    first.show()
    password = (tmp_path / FIRST_PASSWORD).read_bytes().rstrip(b"\n")
    assert PasswordTable({b"admin": known}).verify(b"admin", password)
    assert (
        first.notice() == f"the first password is in {tmp_path / FIRST_PASSWORD} until it is used"
    )


def test_a_start_that_fails_takes_it_back_and_the_next_one_makes_another(tmp_path: Path) -> None:
    first = FirstPassword(StateDirectory(tmp_path), Screen(is_there=False))
    known = first.find_or_make("admin")
    first.take_back()
    assert kept(tmp_path) == set()
    assert first.notice() is None
    assert first.find_or_make("admin") != known


def test_a_start_that_fails_takes_back_nothing_that_an_earlier_one_made(tmp_path: Path) -> None:
    FirstPassword(StateDirectory(tmp_path), Screen(is_there=False)).find_or_make("admin")
    again = FirstPassword(StateDirectory(tmp_path), Screen())
    assert again.find() == again.find_or_make("admin")
    again.take_back()
    assert kept(tmp_path) == {HASH, FIRST_PASSWORD}


def test_who_makes_it_second_shows_nothing(tmp_path: Path) -> None:
    screen = Screen()
    one, two = (FirstPassword(StateDirectory(tmp_path), screen) for _ in range(2))
    assert two.find() is None
    known = one.find_or_make("admin")
    assert two.find_or_make("admin") == known
    two.show()
    assert screen.shown == []
    one.show()
    one.show()
    assert len(screen.shown) == 1


@pytest.mark.parametrize("other", ["key", "hash"])
def test_the_file_stays_when_somebody_logs_in_with_something_else(
    tmp_path: Path, other: str
) -> None:
    first = FirstPassword(StateDirectory(tmp_path), Screen(is_there=False))
    known = first.find_or_make("admin")
    method, evidence = (KEY, known) if other == "key" else (PASSWORD, b"another")
    first.entered(Grant(b"admin", method, evidence, Role.ADMIN))
    assert FIRST_PASSWORD in kept(tmp_path)
    first.entered(Grant(b"admin", PASSWORD, known, Role.ADMIN))
    assert FIRST_PASSWORD not in kept(tmp_path)


def test_a_file_of_an_earlier_password_is_replaced(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.keep(FIRST_PASSWORD, b"earlier\n")
    known = FirstPassword(state, Screen(is_there=False)).find_or_make("admin")
    password = (tmp_path / FIRST_PASSWORD).read_bytes().rstrip(b"\n")
    assert PasswordTable({b"admin": known}).verify(b"admin", password)
