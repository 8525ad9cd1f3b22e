"""Sockets that a service manager has bound and passes: sd_listen_fds(3)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.clients import ask, connect, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, Sockd, wait_until
from tests.test_transports import ACTIVATE, ini

_SO_TIMESTAMPNS = 35
"""The number of the option on Linux, which Python does not define."""


def passed_udp(kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    """Return a socket, bound as a service manager does it."""
    passed = socket.socket(type=kind)
    passed.bind(("127.0.0.1", 0))
    return passed


@pytest.mark.parametrize("which", ["index=0", "name=lab", "domain=INET:name=lab"])
def test_systemd_passes_a_udp_socket(run_sockd: RunSockd, which: str) -> None:
    with passed_udp() as passed, udp_client() as client:
        client.sendto(b"waiting", passed.getsockname())
        sockd = run_sockd(
            ini("udp", f"systemd:{which}"),
            command=(sys.executable, "-c", ACTIVATE, str(passed.fileno()), TWISTD),
            pass_fds=(passed.fileno(),),
        )
        assert sockd.port("s") == passed.getsockname()[1]
        assert client.recv(100) == b"waiting"
        client.sendto(b"activated", passed.getsockname())
        assert client.recv(100) == b"activated"


def test_a_passed_socket_may_tell_more_than_the_destination(run_sockd: RunSockd) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as passed, udp_client("::1") as client:
        passed.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)  # Timestamping=
        passed.bind(("::", 0))
        sockd = run_sockd(
            ini("udp", "systemd:index=0"),
            command=(sys.executable, "-c", ACTIVATE, str(passed.fileno()), TWISTD),
            pass_fds=(passed.fileno(),),
        )
        client.connect(("::1", sockd.port("s")))
        assert ask(client, b"hello") == b"hello"
        [flow] = sockd.get("/connections")["connections"]
        assert flow["local"]["host"] == "::1"


def test_systemds_own_tool_passes_a_udp_socket(run_sockd: RunSockd, tool: ToolFinder) -> None:
    activate = tool("systemd-socket-activate", "systemd")
    with passed_udp() as probe:
        port = probe.getsockname()[1]
    with udp_client() as client:
        listen = ("--datagram", "--fdname=lab", f"--listen=127.0.0.1:{port}")
        with ThreadPoolExecutor() as pool:  # it waits for the first datagram
            asked = pool.submit(ask_again, client, port)
            sockd = run_sockd(
                ini("udp", "systemd:name=lab"),
                command=(activate, *listen, *kept_variables(), TWISTD),
            )
            assert asked.result() == b"hello"
        assert sockd.port("s") == port


def kept_variables() -> list[str]:
    """Return the options of the tool that clear the environment."""
    return [f"--setenv={name}" for name in os.environ if "\n" not in os.environ[name]]


def ask_again(client: socket.socket, port: int) -> bytes:
    """Send requests until there is an answer; the daemon may not listen yet."""
    client.settimeout(0.1)
    for _ in range(int(DEADLINE / 0.1)):
        with suppress(OSError):
            client.sendto(b"hello", ("127.0.0.1", port))
            return client.recv(100)
    raise AssertionError


@pytest.mark.parametrize(
    ("kind", "listen", "sort", "said"),
    [
        ("udp", "systemd:name=lab", socket.SOCK_STREAM, "'systemd:name=lab' is not a UDP socket"),
        ("udp", "systemd:name=other", socket.SOCK_DGRAM, "systemd must pass such a socket"),
        ("udp", "systemd:index=1", socket.SOCK_DGRAM, "systemd must pass such a socket"),
        ("multi", "systemd:domain=INET:name=lab", socket.SOCK_DGRAM, "is not a stream socket"),
        ("multi", "systemd:domain=INET6:name=lab", socket.SOCK_STREAM, "domain=INET"),
    ],
)
def test_a_socket_of_another_sort_is_one_line(
    tmp_path: Path, kind: str, listen: str, sort: socket.SocketKind, said: str
) -> None:
    (tmp_path / "lab.ini").write_text(ini(kind, listen), encoding="utf-8")
    with passed_udp(sort) as passed:
        if sort == socket.SOCK_STREAM:
            passed.listen()
        done = subprocess.run(
            [
                *(sys.executable, "-c", ACTIVATE, str(passed.fileno())),
                *(TWISTD, "-n", "sockd", "-c", "lab.ini"),
            ],
            cwd=tmp_path,
            pass_fds=(passed.fileno(),),
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("lab.ini:")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def has_reloaded(sockd: Sockd, times: int) -> bool:
    return sockd.output.count("Reloaded: kept 0") == times


def test_a_passed_socket_is_there_again_after_a_reload(run_sockd: RunSockd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        port = passed.getsockname()[1]
        sockd = run_sockd(
            ini("multi", "systemd:domain=INET:index=0"),
            command=(sys.executable, "-c", ACTIVATE, str(passed.fileno()), TWISTD),
            pass_fds=(passed.fileno(),),
        )
    text = sockd.file.read_text(encoding="utf-8")
    for number, listen in enumerate(["tcp:0:interface=127.0.0.1", "systemd:domain=INET:index=0"]):
        sockd.file.write_text(text.replace("systemd:domain=INET:index=0", listen), encoding="utf-8")
        sockd.send_signal(signal.SIGHUP)
        wait_until(partial(has_reloaded, sockd, number + 1))
    assert sockd.service("s")["listeners"][0]["port"] == port
    with connect(port) as client:
        assert ask(client, b"again") == b"again"
