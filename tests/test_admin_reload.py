"""A reload reads keys, passwords and viewers again, and ends the sessions of those it revokes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest

from sockd.process.state import PASSWORD
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd, wait_until
from tests.support_admin import SSH
from tests.test_admin_roles import TELNET, line
from tests.test_admin_ssh import INI, KeyMaker
from tests.test_admin_telnet import Wire, port_of
from tests.test_reload import reload

OLD, NEW = "geheim", "anders"


class Session:
    """A session without a terminal that sends statements."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
        )

    def __enter__(self) -> Session:
        """Wait until it is served."""
        assert self.ask("1+1") == "2\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def ask(self, statement: str) -> str:
        """Return the line that a statement prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{statement}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def end(self) -> str:
        """Return what ssh complains about, once the daemon has ended the session."""
        assert self._process.wait(DEADLINE) == 255
        assert self._process.stderr is not None
        return self._process.stderr.read()


class Lab:
    """A daemon with files of keys and passwords, and the people that they let in."""

    def __init__(self, folder: Path, ssh: str, make_key: KeyMaker, stack: ExitStack) -> None:
        self.folder = folder
        self._ssh = ssh
        self._stack = stack
        self.mine, self.hers = make_key("mine"), make_key("hers")
        self.keys, self.passwd, self.viewers = (
            folder / name for name in ("authorized_keys", "passwd", "viewers")
        )
        self.write(self.keys, self.public(self.mine), self.public(self.hers))
        self.write(self.passwd, line("mary", OLD), line("john", OLD))
        self.write(self.viewers, line("eve", OLD))
        self.ini = (
            f"{INI}{TELNET}authorized_keys = {self.keys}\npasswd = {self.passwd}\n"
            f"viewers = {self.viewers}\n"
        )
        self.daemon: Sockd

    def start(self, run_sockd: RunSockd, ini: str | None = None) -> None:
        """Start the daemon."""
        self.daemon = run_sockd(self.ini if ini is None else ini)

    def public(self, key: Path) -> str:
        """Return the line of a key."""
        return key.with_suffix(".pub").read_text(encoding="utf-8")

    def write(self, path: Path, *lines: str) -> None:
        """Replace a file of keys or passwords."""
        path.write_text("".join(lines), encoding="utf-8")

    def reload(self, ini: str | None = None) -> str:
        """Reload, by default with the very same file, and return what the log says."""
        return reload(self.daemon, self.ini if ini is None else ini)

    def ssh(self, user: str) -> SSH:
        """Return the ssh of a user."""
        return SSH(self._ssh, self.folder, self.daemon.ssh_port, user)

    def session(self, user: str = "admin", key: Path | None = None, password: str = "") -> Session:
        """Log somebody in."""
        ssh = self.ssh(user)
        login = ssh.key_options(key) if key else ssh.password_options()
        words = ssh.words(*login, "-T")
        return self._stack.enter_context(Session(words, ssh.environment(password)))

    def can_log_in(self, user: str = "admin", key: Path | None = None, password: str = "") -> bool:
        """Return whether somebody is let in."""
        end = self.ssh(user).run("status()", key=key, password=password)
        return end.returncode == 0

    def is_revoked(self, session: Session, who: str) -> None:
        """Make sure that a session ends, with a line in the log."""
        assert "your credentials have been revoked" in session.end()
        self.daemon.wait_for(rf"Admin session revoked: {who} from 127\.0\.0\.1:\d+ over ssh$")


@pytest.fixture
def lab(tmp_path: Path, tool: ToolFinder) -> Iterator[Lab]:
    make_key = KeyMaker(tool("ssh-keygen", "openssh-client"), tmp_path)
    with ExitStack() as stack:
        yield Lab(tmp_path, tool("ssh", "openssh-client"), make_key, stack)


def test_a_revoked_key_ends_its_sessions_and_no_others(lab: Lab, run_sockd: RunSockd) -> None:
    lab.start(run_sockd)
    mine, hers, mary = (
        lab.session(key=lab.mine),
        lab.session(key=lab.hers),
        lab.session("mary", password=OLD),
    )
    lab.write(lab.keys, lab.public(lab.mine))
    assert "restart" not in lab.reload()
    lab.is_revoked(hers, "admin")
    assert not lab.can_log_in(key=lab.hers)
    assert lab.can_log_in(key=lab.mine)
    assert [one.ask("1+2") for one in (mine, mary)] == ["3\n", "3\n"]
    lab.write(lab.keys, lab.public(lab.mine), lab.public(lab.hers))
    lab.reload()
    assert lab.can_log_in(key=lab.hers)


def test_another_password_ends_the_sessions_that_began_with_the_old_one(
    lab: Lab, run_sockd: RunSockd
) -> None:
    lab.start(run_sockd)
    mary, john = lab.session("mary", password=OLD), lab.session("john", password=OLD)
    kept = lab.passwd.read_text(encoding="utf-8").splitlines(keepends=True)[1]
    lab.write(lab.passwd, line("mary", NEW), kept)
    lab.reload()
    lab.is_revoked(mary, "mary")
    assert john.ask("1+2") == "3\n"
    assert not lab.can_log_in("mary", password=OLD)
    assert lab.can_log_in("mary", password=NEW)


def test_viewers_come_and_go_and_become_admins_after_another_login(
    lab: Lab, run_sockd: RunSockd
) -> None:
    lab.start(run_sockd)
    with ExitStack() as stack:
        telnet = stack.enter_context(Wire(port_of(lab.daemon)))
        telnet.log_in(b"eve", OLD.encode())
        telnet.until(b">>> ")
        eve = lab.viewers.read_text(encoding="utf-8")
        lab.write(lab.passwd, eve)
        lab.write(lab.viewers, line("ann", OLD))
        lab.reload()
        assert b"Your credentials have been revoked." in telnet.rest()
        lab.daemon.wait_for(r"Admin session revoked: eve \(viewer\) from \S+ over telnet$")
    assert lab.session("eve", password=OLD).ask("type(daemon).__name__") == "'Daemon'\n"
    assert lab.can_log_in("ann", password=OLD)
    assert not lab.can_log_in("mary", password=OLD)


def test_a_wrong_line_in_a_file_changes_nothing_and_is_named(lab: Lab, run_sockd: RunSockd) -> None:
    lab.start(run_sockd)
    mine = lab.session(key=lab.mine)
    lab.write(lab.keys, lab.public(lab.hers), "ssh-ed25519 damaged\n")
    lab.write(lab.viewers, "eve:plain\n")
    log = lab.reload(lab.ini.replace("kind = multi", "kind = multi\nreply = upper"))
    assert f"{lab.keys}:2: the ssh-ed25519 key is damaged" in log
    assert f"{lab.viewers}:1: user 'eve': the hash is not a bcrypt hash" in log
    assert "Nothing was changed" in log
    assert "Reloaded" not in log
    assert mine.ask("daemon.services['echo'].record.reply") == "'echo'\n"
    assert lab.can_log_in("eve", password=OLD)


def test_a_port_that_cannot_be_had_revokes_nobody(lab: Lab, run_sockd: RunSockd) -> None:
    lab.start(run_sockd)
    hers = lab.session(key=lab.hers)
    lab.write(lab.keys, lab.public(lab.mine))
    taken = lab.daemon.ssh_port
    more = f"[service:two]\nkind = multi\nlisten = tcp:{taken}:interface=127.0.0.1\n"
    assert "Nothing was changed" in lab.reload(lab.ini + more)
    assert hers.ask("1+2") == "3\n"
    assert lab.can_log_in(key=lab.hers)


def test_who_reloads_and_is_revoked_by_that_is_out(lab: Lab, run_sockd: RunSockd) -> None:
    lab.start(run_sockd)
    hers = lab.session(key=lab.hers)
    lab.write(lab.keys, lab.public(lab.mine))
    hers.ask("reload(); leak = 1")
    lab.is_revoked(hers, "admin")
    lab.daemon.wait_for("Reloaded: kept 1")


def test_the_user_the_limits_and_the_files_follow_the_section(
    lab: Lab, run_sockd: RunSockd
) -> None:
    lab.start(run_sockd)
    mine, mary = lab.session(key=lab.mine), lab.session("mary", password=OLD)
    other = lab.folder / "other"
    lab.write(other, line("zoe", NEW))
    ini = lab.ini.replace(f"passwd = {lab.passwd}", f"passwd = {other}")
    assert "restart" not in lab.reload(f"{ini}user = me\nmax_sessions = 1\nidle_timeout = 1s\n")
    lab.is_revoked(mine, "admin")
    lab.is_revoked(mary, "mary")
    zoe = lab.session("zoe", password=NEW)
    refused = lab.ssh("me").run("1+1", key=lab.mine)
    assert "the limit of 1 sessions is reached" in refused.stderr
    assert "no input for 1" in zoe.end()
    assert lab.can_log_in("me", key=lab.mine)


def test_who_names_keys_for_the_first_time_closes_the_way_of_the_first_password(
    lab: Lab, run_sockd: RunSockd
) -> None:
    lab.start(run_sockd, INI)
    password = lab.daemon.first_password
    first = lab.session(password=password)
    keys = f"{INI}authorized_keys = {lab.keys}\n"
    assert "restart" not in lab.reload(keys)
    lab.is_revoked(first, "admin")
    assert not lab.can_log_in(password=password)
    mine = lab.session(key=lab.mine)
    assert "restart" not in lab.reload(INI)
    lab.is_revoked(mine, "admin")
    assert lab.can_log_in(password=password)


def test_a_reload_makes_no_first_password(lab: Lab, run_sockd: RunSockd) -> None:
    lab.start(run_sockd)
    log = lab.reload(INI)
    assert f"{lab.daemon.file}:6: [admin]" in log
    assert "no first password exists, and neither authorized_keys nor passwd is set" in log
    assert "(set one of them, or restart)" in log
    assert lab.can_log_in(key=lab.mine)
    assert not (lab.daemon.folder / "var" / PASSWORD).exists()


def test_a_login_that_begins_before_a_reload_is_judged_by_what_is_in_force_after_it(
    lab: Lab, run_sockd: RunSockd
) -> None:
    lab.start(run_sockd)
    with Wire(port_of(lab.daemon)) as telnet:
        telnet.until(b"Username: ")
        telnet.socket.sendall(b"mary\r\n")
        telnet.until(b"Password: ")
        lab.write(lab.passwd, line("mary", NEW))
        lab.reload()
        telnet.socket.sendall(OLD.encode() + b"\r\n")
        telnet.until(b"Login incorrect")
    wait_until(lambda: "Admin login refused: mary" in lab.daemon.output)
