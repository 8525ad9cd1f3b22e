"""The notifications of a supervisor: sd_notify(3)."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.task import Clock

from sockd.process.systemd import SystemdNotifier, systemd_notifier
from sockd.reactor import IReactor
from tests.conftest import RunSockd
from tests.harness import DEADLINE

ONE = "[service:one]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"


class Listener:
    """The supervisor's end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(DEADLINE)
        self._socket.bind(address)

    def heard(self) -> list[str]:
        """Return the lines of the next message."""
        return self._socket.recv(4096).decode().split("\n")

    def hears_nothing(self) -> bool:
        """Return whether no message was received."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(DEADLINE)
        return False

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(str(tmp_path / "notify"))
    yield made
    made.close()


def notifier(environment: dict[str, str], clock: Clock | None = None) -> SystemdNotifier:
    return systemd_notifier(environment, cast(IReactor, clock or Clock()))


def test_a_daemon_that_is_up_says_so_in_one_message(listener: Listener, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_PID": "1", "HOME": "/"}
    notifier(environment).ready("lab\n\x1b: 3 of 3 services listen")
    ready, status, pid = listener.heard()
    assert (ready, pid) == ("READY=1", f"MAINPID={os.getpid()}")
    assert status.endswith(": 3 of 3 services listen")
    assert status.isprintable()
    assert environment == {"HOME": "/"}


def test_an_abstract_socket_is_reached_too() -> None:
    name = f"sockd-test-{os.getpid()}"
    abstract = Listener(f"\0{name}")
    notifier({"NOTIFY_SOCKET": f"@{name}"}).stopping()
    assert abstract.heard()[0] == "STOPPING=1"
    abstract.close()


def test_a_reload_tells_the_time_at_which_it_began(listener: Listener, tmp_path: Path) -> None:
    notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).reloading()
    reloading, moment = listener.heard()
    assert reloading == "RELOADING=1"
    microseconds = int(moment.removeprefix("MONOTONIC_USEC="))
    assert 0 <= time.monotonic() - microseconds / 1e6 < DEADLINE


def test_the_watchdog_hears_a_sign_twice_as_often_as_it_must(
    listener: Listener, tmp_path: Path
) -> None:
    clock = Clock()
    environment = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    told = notifier(environment, clock)
    told.ready("up")
    assert listener.heard()[0] == "READY=1"
    assert listener.heard() == ["WATCHDOG=1"]
    clock.advance(1.4)
    assert listener.hears_nothing()
    clock.advance(0.1)
    assert listener.heard() == ["WATCHDOG=1"]
    told.ready("up again")
    assert listener.heard()[0] == "READY=1"
    assert listener.hears_nothing()


@pytest.mark.parametrize(
    "more", [{"WATCHDOG_PID": "1", "WATCHDOG_USEC": "3000000"}, {"WATCHDOG_USEC": "soon"}, {}]
)
def test_a_watchdog_that_watches_somebody_else_hears_nothing(
    listener: Listener, tmp_path: Path, more: dict[str, str]
) -> None:
    clock = Clock()
    notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more}, clock).ready("up")
    assert listener.heard()[0] == "READY=1"
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/notify"])
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    told = notifier({"NOTIFY_SOCKET": address})
    told.ready("up")
    told.stopping()


def test_a_whole_life(run_sockd: RunSockd, listener: Listener, tmp_path: Path) -> None:
    sockd = run_sockd(ONE, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    ready, status, pid = listener.heard()
    assert (ready, pid) == ("READY=1", f"MAINPID={sockd.pid}")
    assert re.fullmatch(r"STATUS=\S+: 1 of 1 services listen", status)
    sockd.send_signal(signal.SIGHUP)
    assert listener.heard()[0] == "RELOADING=1"
    assert listener.heard()[0] == "READY=1"
    sockd.file.write_text("[sockd", encoding="utf-8")
    sockd.send_signal(signal.SIGHUP)
    assert listener.heard()[0] == "RELOADING=1"
    refused = f"{status}; the last reload was refused, the log says why"
    assert listener.heard()[:2] == ["READY=1", refused]
    sockd.file.write_text(ONE, encoding="utf-8")
    sockd.send_signal(signal.SIGHUP)
    assert listener.heard()[0] == "RELOADING=1"
    assert listener.heard()[:2] == ["READY=1", status]
    assert sockd.stop() == 0
    assert listener.heard()[0] == "STOPPING=1"


def test_a_running_daemon_is_alive_and_a_stopped_process_is_not(
    run_sockd: RunSockd, listener: Listener, tmp_path: Path
) -> None:
    sockd = run_sockd(
        ONE,
        environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"},
    )
    assert listener.heard()[0] == "READY=1"
    assert [listener.heard() for _ in range(3)] == [["WATCHDOG=1"]] * 3
    assert sockd.stop() == 0
