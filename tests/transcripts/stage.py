"""Where the lab is played: two hosts, the daemon in its window, and the blocks that came of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fresh import REPOSITORY
from tests.harness import TWISTD, environment_for, wait_until
from tests.namespaces import Host
from tests.transcripts.sameness import clients_ports, in_order, renumbered
from tests.transcripts.terminal import Terminal

_PREFIX = re.compile(r"^(?:\S+ \[sockd\] |(?=admin: the password is ))")
_NOT_FOR_STUDENTS = re.compile(
    r'^Running as user "root".*\n|^admin: the first password is not .*\n|\^C|\x1b\[[\d;]*m|[ \t]+$',
    re.MULTILINE,
)
_TABLES_OF_SOCKETS = ("$ ss ", "$ netstat ", "$ lsof ")
_SSH = """\
#!/bin/sh
exec {path} -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=known "$@"
"""
_SUDO = """\
#!/bin/sh
unset NMAP_UNPRIVILEGED
exec "$@"
"""


class Stage:
    """Runs what a page says to type, and keeps what is seen.

    A command is run as it stands on the page, in a folder that has what a clone has, for a person
    without privileges: only ``sudo`` lets nmap use raw sockets.

    :ivar played: the blocks, by name.
    :ivar server: the host with the daemon.
    :ivar colleague: the other host.
    """

    def __init__(self, server: Host, colleague: Host, folder: Path, ssh: str) -> None:
        self.server = server
        self.colleague = colleague
        self.played: dict[str, str] = {}
        self._folder = folder
        self._raw: dict[str, str] = {}
        self._read = 0
        self._password = ""
        (folder / "config").symlink_to(REPOSITORY / "config")
        _executables(folder / ".venv" / "bin").joinpath("twistd").symlink_to(TWISTD)
        programs = _executables(folder / "bin")
        _script(programs / "ssh", _SSH.format(path=ssh))
        _script(programs / "sudo", _SUDO)
        self._environment = environment_for(folder) | {
            "LC_ALL": "C.UTF-8",
            "NMAP_UNPRIVILEGED": "1",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "TERM": "dumb",
            "TZ": "UTC",
        }

    @contextmanager
    def daemon(self, command: str) -> Iterator[None]:
        """Keep a daemon running; it must stop without a complaint."""
        with self.window(command) as self._log:
            self._read = 0
            self._log.wait_for(r"admin: ssh .*\n")
            yield
            self._log.press_ctrl_c()
            assert "Traceback" not in self._log.output, self._log.text

    def window(self, command: str, host: Host | None = None) -> Terminal:
        """Return a window in which a command runs, on the server's host unless said otherwise."""
        return Terminal(host or self.server, command, self._folder, self._environment)

    @contextmanager
    def client(self, command: str, host: Host | None = None) -> Iterator[Terminal]:
        """Keep a client that has said hello and was answered; Ctrl-C ends it."""
        with self.window(command, host) as client:
            client.type("hello")
            client.wait_for("^hello\nhello\n")
            yield client
            client.press_ctrl_c()

    def run(self, command: str, host: Host | None = None) -> str:
        """Return the window of a command that ends by itself."""
        with self.window(command, host) as window:
            window.wait()
            return window.text

    def run_until(self, command: str, pattern: str) -> str:
        """Return the window of a command, repeated until a pattern is seen there."""
        seen = ""

        def is_there() -> bool:
            nonlocal seen
            seen = self.run(command)
            return re.search(pattern, seen) is not None

        wait_until(is_there, f"{pattern!r} in what {command!r} prints")
        return seen

    def shell(self, command: str) -> str:
        """Return the window of a command of the admin shell."""
        with self.window(f"ssh -p 2222 admin@127.0.0.1 {command}") as window:
            window.wait_for("password: ")
            window.type(self.password)
            window.wait()
            return window.text

    @property
    def password(self) -> str:
        """The password of the admin shell, which is only shown at the first start."""
        if not self._password:
            self._password = self._log.wait_for(r"the password is (\S+) ")[1]
        return self._password

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in that part of the log which has not been shown yet."""
        return self._log.wait_for(pattern, self._read)

    def new_log(self, until: str) -> str:
        """Return what the log has that was not shown yet, to the end of the line that is named.

        The times, the names of the loggers and what twistd itself has to say are left out.
        """
        end = self.wait_for(f"{until}.*\n").end()
        lines = self._log.output[self._read : end].splitlines(keepends=True)
        self._read = end
        return "".join(_PREFIX.sub("", line) for line in lines if _PREFIX.match(line))

    def show(self, name: str, text: str) -> None:
        """Keep what is seen, as a block of the pages."""
        assert name not in self._raw.keys() | self.played.keys(), name
        self._raw[name] = text

    @contextmanager
    def exercise(self) -> Iterator[None]:
        """Give the ephemeral ports of one exercise numbers, in the order in which clients come."""
        start = self._read
        yield
        ports = clients_ports(self._log.output[start:])
        self.played |= {name: _tidy(text, ports) for name, text in self._raw.items()}
        self._raw.clear()


def _tidy(text: str, ports: Iterable[int]) -> str:
    text = renumbered(_NOT_FOR_STUDENTS.sub("", text), ports).rstrip("\n") + "\n"
    return in_order(text) if text.startswith(_TABLES_OF_SOCKETS) else text


def _executables(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _script(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
