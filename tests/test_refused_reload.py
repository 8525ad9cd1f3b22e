"""A refused reload changes nothing: files, modes, listeners, descriptors and records."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clients import ask, connect, udp_client
from tests.conftest import RunSockd
from tests.harness import DEADLINE, Sockd, wait_until
from tests.vitals import descriptors

INI = """\
[sockd]
state = var
[service:unix]
kind = multi
listen = unix:u.sock
[service:tcp]
kind = tcp
listen = tcp:0:interface=127.0.0.1
[service:udp]
kind = udp
listen = udp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
    unix:stats.sock
[admin]
ssh = tcp:0:interface=127.0.0.1
telnet = unix:telnet.sock
"""
NOWHERE = "tcp:0:interface=192.0.2.1"
FRESH = f"""\
[service:new]
kind = multi
listen = unix:new.sock
    tcp:0:interface=127.0.0.1
[service:new-udp]
kind = udp
listen = udp:0:interface=127.0.0.1
[service:impossible]
kind = multi
listen = {NOWHERE}
"""

CHANGES = {
    "another mode": (INI.replace("unix:u.sock", "unix:u.sock:mode=660"), "sockd has it as unix:u."),
    "another backlog as well": (
        INI.replace("unix:u.sock", "unix:u.sock:mode=660:backlog=9"),
        "sockd has it as unix:u.sock",
    ),
    "another spelling": (INI.replace("unix:u.sock", "unix:sub/../u.sock"), "has a socket there"),
    "the path of the stats": (
        INI + FRESH.replace("new.sock", "stats.sock"),
        "[service:new] listen",
    ),
    "sockets that can be had, and one that cannot": (INI + FRESH, "Cannot assign requested"),
    "another kind": (
        INI.replace("kind = multi\nlisten = unix:u.sock", f"kind = tcp\nlisten = {NOWHERE}"),
        "Cannot assign requested",
    ),
    "a service less": (INI.replace("service:udp", "service:other") + FRESH, "Cannot assign"),
    "a file in the way": (INI + FRESH.replace("new.sock", "precious"), "File exists"),
    "no directory": (INI + FRESH.replace("new.sock", "none/new.sock"), "No such file"),
    "an error": (INI + "[service:x]\nkind = multi\nlisten = unix:\n", "has no path"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_everything_is_as_it_was(run_sockd: RunSockd, change: str) -> None:
    sockd = run_sockd(INI)
    (sockd.folder / "sub").mkdir()
    (sockd.folder / "precious").write_text("precious", encoding="utf-8")
    with connected(sockd) as client:
        assert ask(client, b"hello") == b"hello"
        held, before = descriptors(sockd), as_it_is(sockd)
        ini, reason = CHANGES[change]
        for number in range(2):
            sockd.file.write_text(ini, encoding="utf-8")
            sockd.send_signal(signal.SIGHUP)
            wait_until(partial(has_refused, sockd, number + 1))
        assert reason in sockd.output
        assert as_it_is(sockd) == before
        wait_until(lambda: descriptors(sockd) == held)
        assert ask(client, b"hello") == b"hello"
    with connected(sockd) as client, udp_client() as datagrams, connect(sockd.port("tcp")) as tcp:
        assert ask(client, b"hello") == ask(tcp, b"hello") == b"hello"
        datagrams.sendto(b"hello", ("127.0.0.1", sockd.port("udp")))
        assert datagrams.recv(100) == b"hello"
    sockd.file.write_text(INI, encoding="utf-8")
    sockd.send_signal(signal.SIGHUP)
    sockd.wait_for("Reloaded: kept 3$")
    assert sockd.stop() == 0
    assert not list(sockd.folder.glob("*.sock*"))


def has_refused(sockd: Sockd, times: int) -> bool:
    return sockd.output.count("Nothing was changed") == times


@contextmanager
def connected(sockd: Sockd) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(str(sockd.folder / "u.sock"))
        yield client


def as_it_is(sockd: Sockd) -> tuple[Any, ...]:
    """Return the files, the services and the connections."""
    services = sockd.get("/services")["services"]
    return files_in(sockd.folder), services, sockd.get("/connections?state=all")["connections"]


def files_in(folder: Path) -> dict[str, tuple[int, int, int]]:
    stats = {str(one): one.lstat() for one in folder.rglob("*") if one.name != "sockd.ini"}
    return {name: (one.st_ino, one.st_mode, one.st_uid) for name, one in stats.items()}
