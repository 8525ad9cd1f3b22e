"""Helpers for the tests of the admin shell: real clients, with and without a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.harness import DEADLINE

READING = (
    *("status", "services", "connections", "connection", "ports"),
    *("top", "watch", "lesson", "capture"),
)
"""The commands that change nothing, in the order in which they are listed."""

ASKPASS = """#!/bin/sh
printf '%s\\n' "$SOCKD_TEST_PASSWORD"
"""


class SSH:
    """The ssh of a person with nothing configured: own known hosts, no agent.

    :param program: the path of ssh.
    :param folder: where its files go.
    """

    def __init__(self, program: str, folder: Path, port: int, user: str = "admin") -> None:
        self.program = program
        self.folder = folder
        self.port = port
        self.user = user
        self.known_hosts = folder / "known_hosts"
        self._askpass = folder / "askpass"
        self._askpass.write_text(ASKPASS, encoding="ascii")
        self._askpass.chmod(0o700)

    def words(self, *options: str) -> list[str]:
        """Return the command line up to the host."""
        return [
            self.program,
            *("-F", "/dev/null", "-p", str(self.port), "-l", self.user),
            *("-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "StrictHostKeyChecking=accept-new", "-o", "IdentityAgent=none"),
            *("-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=20"),
            *options,
            "127.0.0.1",
        ]

    def password_options(self) -> tuple[str, ...]:
        """Return the options for a login with a password alone."""
        return ("-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no")

    def key_options(self, key: Path) -> tuple[str, ...]:
        """Return the options for a login with a key alone."""
        return ("-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes")

    def environment(self, password: str = "") -> dict[str, str]:
        """Return an environment in which ssh is told a password, and never asks anybody."""
        return {
            **os.environ,
            "HOME": str(self.folder),
            "SSH_ASKPASS": str(self._askpass),
            "SSH_ASKPASS_REQUIRE": "force",
            "SOCKD_TEST_PASSWORD": password,
        }

    def run(
        self,
        *command: str,
        password: str = "",
        key: Path | None = None,
        options: tuple[str, ...] = (),
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run ssh to its end."""
        login = self.key_options(key) if key else self.password_options()
        return subprocess.run(
            [*self.words(*login, *options), *command],
            env=self.environment(password),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )

    def terminal(self, password: str, *command: str) -> TerminalProgram:
        """Run ssh on a terminal."""
        words = [*self.words(*self.password_options(), "-tt"), *command]
        return TerminalProgram(words, self.environment(password))


class TerminalProgram:
    """A program on a pseudo-terminal, driven the way a person would."""

    def __init__(self, words: list[str], environment: Mapping[str, str] = os.environ) -> None:
        self._master, slave = pty.openpty()
        self.resize(80, 24)
        self._process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
            start_new_session=True,
        )
        os.close(slave)
        self.screen = ""
        self._seen = 0

    def __enter__(self) -> TerminalProgram:
        """Return the program itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        if error is not None:
            print(self.screen)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def enter(self, line: str) -> None:
        """Type a line and press the key that ends it."""
        self.type(line + "\r")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in what came since the last one."""
        expression = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + DEADLINE
        while True:
            found = expression.search(self.screen, self._seen)
            if found:
                self._seen = found.end()
                return found
            if not self._read(end - time.monotonic()):
                message = f"{pattern!r} was not shown:\n{self.screen}"
                raise AssertionError(message)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def tell_resized(self) -> None:
        """Send the signal that a terminal sends: ours is nobody's controlling terminal."""
        self._process.send_signal(signal.SIGWINCH)

    def wait(self) -> int:
        """Return the exit status once it has ended."""
        end = time.monotonic() + DEADLINE
        while self._read(end - time.monotonic()):
            pass
        return self._process.wait(DEADLINE)

    def _read(self, timeout: float) -> bool:
        """Take what is there; return whether there may be more."""
        if timeout <= 0 or not select.select([self._master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the program has closed its end
            return False
        self.screen += data.decode("utf-8", "replace")
        return bool(data)
