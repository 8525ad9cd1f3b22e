"""A real ``twistd sockd`` in a process of its own, and what tests ask of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM, Signals
from types import TracebackType
from typing import Any, TypeVar

DEADLINE = 30.0
"""How long anything may take before a test gives up, in seconds."""

TWISTD = str(Path(sys.executable).with_name("twistd"))

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str = "", deadline: float = DEADLINE) -> T:
    """Return what a condition returns, as soon as that is true.

    It asks again and again: for what nobody tells, such as another process's state.
    """
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    message = f"it did not happen within {deadline} s: {what or condition}"
    raise AssertionError(message)


class Sockd:
    """A running daemon; as a context manager it is gone at the end.

    :param ini: the text of its configuration.
    :param folder: where the file and everything that the daemon makes go.
    :param options: more words for the command line of twistd itself.
    :ivar may_fail: whether tracebacks in the output are what the test is about.
    """

    def __init__(
        self,
        ini: str,
        folder: Path,
        *,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] = (TWISTD,),
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.may_fail = False
        self.folder = folder
        self.file = folder / "sockd.ini"
        self.file.write_text(ini, encoding="utf-8")
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [*command, *options, "-n", "sockd", "-c", str(self.file)],
            cwd=folder,
            env=environment_for(folder, environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            pass_fds=pass_fds,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Sockd:
        """Wait until everything is bound and the banner is out."""
        try:
            self.wait_for(r"\[sockd\] sockd [0-9.]+, ")
        except AssertionError:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the daemon; where a test failed, show what the daemon said."""
        if error is not None:
            print(self.output)
        self._end()
        if error is None and not self.may_fail:
            assert "Traceback" not in self.output, self.output

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it has said so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, deadline: float = DEADLINE) -> re.Match[str]:
        """Return the first match of a pattern in the output, as soon as it is there."""
        expression = re.compile(pattern, re.MULTILINE)
        end = time.monotonic() + deadline
        with self._changed:
            while True:
                found = expression.search("".join(self._lines))
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0 or (not self._reader.is_alive() and self._process.poll() is not None):
                    said = "".join(self._lines)
                    message = f"{pattern!r} was not said:\n{said}"
                    raise AssertionError(message)
                self._changed.wait(min(left, 0.2))

    def port(self, service: str) -> int:
        """Return the port number of a service."""
        return int(self.wait_for(rf"Bind \S+ \S+:(\d+) \({re.escape(service)}\)")[1])

    @property
    def stats_url(self) -> str:
        """Where the stats endpoint is, without a path."""
        return self.wait_for(r"stats: curl (http://\S+:\d+)/ports")[1]

    @property
    def ssh_port(self) -> int:
        """The port of the admin shell."""
        return int(self.wait_for(r"admin: ssh -p (\d+) ")[1])

    @property
    def first_password(self) -> str:
        """The password that was generated at the start, from its file."""
        path = Path(self.wait_for(r"admin: the first password is in (\S+) until it is used$")[1])
        return path.read_text(encoding="utf-8").rstrip("\n")

    def get(self, path: str) -> Any:
        """Return what the stats endpoint answers, as parsed JSON."""
        with urllib.request.urlopen(self.stats_url + path, timeout=DEADLINE) as answer:
            return json.load(answer)

    def service(self, name: str) -> Any:
        """Return a service as the stats endpoint shows it."""
        return self.get(f"/services/{name}")

    def send_signal(self, number: Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, deadline: float = DEADLINE) -> int:
        """Return the exit status once it has ended."""
        status = self._process.wait(deadline)
        self._reader.join(deadline)
        return status

    def stop(self, number: Signals = SIGTERM) -> int:
        """End it and return the exit status."""
        self.send_signal(number)
        return self.wait()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(SIGTERM)
            try:
                self._process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(DEADLINE)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()


def environment_for(folder: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which a daemon keeps everything that it makes in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), **(more or {})}


def run_twistd(*words: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run twistd to its end and return what it said."""
    return subprocess.run(
        [TWISTD, *words],
        cwd=folder,
        env=environment_for(folder),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
