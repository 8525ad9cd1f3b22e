"""The listeners of a section: bound all or none, and closed completely before a new bind."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from sockd.config.endpoint import parse_stream
from sockd.errors import BindError, SourceLocation
from sockd.net.listeners import Listeners
from sockd.net.server_endpoints import bind_problem
from sockd.reactor import IReactor
from tests.harness import run_twistd

PLACE = SourceLocation("lab.ini", 3, "service:s", "listen")


class SlowPort:
    """A port whose socket is closed when the test says so."""

    def __init__(self, host: object) -> None:
        self._host = host
        self.stopping: Deferred[None] | None = None

    def getHost(self) -> object:
        """Return the address."""
        return self._host

    def stopListening(self) -> Deferred[None]:
        """Start to close."""
        assert self.stopping is None
        self.stopping = Deferred()
        return self.stopping


class SlowReactor(MemoryReactorClock):
    """A reactor whose ports close asynchronously.

    :ivar ports: all ports that were opened.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ports: list[SlowPort] = []

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> SlowPort:
        """Listen, as far as callers can see."""
        super().listenTCP(port, factory, backlog, interface)  # type: ignore[no-untyped-call]
        made = SlowPort(IPv4Address("TCP", "0.0.0.0", port))
        self.ports.append(made)
        return made

    @staticmethod
    def finish(*ports: SlowPort) -> None:
        """Finish closing the ports."""
        for port in ports:
            assert port.stopping is not None
            port.stopping.callback(None)


class Section:
    """Two endpoints of a section on such a reactor."""

    def __init__(self) -> None:
        self.reactor = SlowReactor()
        endpoints = tuple(parse_stream(f"tcp:{port}", PLACE) for port in (65432, 65433))
        self.listeners = Listeners(cast(IReactor, self.reactor), endpoints, 50)
        self.bound = 0

    def open(self) -> None:
        """Open the listeners."""
        self.listeners.open(lambda _: Factory(), self._bound, self._failed)

    def _bound(self) -> None:
        self.bound += 1

    def _failed(self, error: BindError) -> None:
        raise error


def test_ports_are_opened_again_once_the_old_ones_are_closed() -> None:
    section = Section()
    section.open()
    old = list(section.reactor.ports)
    closed = section.listeners.close()
    section.open()
    assert (section.reactor.ports, section.bound, closed.called) == (old, 1, False)
    section.reactor.finish(*old)
    assert (section.bound, closed.called) == (2, True)
    new = section.reactor.ports[2:]
    assert [port.stopping for port in new] == [None, None]
    assert len(section.listeners.bound) == 2


def test_a_close_that_overtakes_an_open_leaves_the_closing_of_the_old_ports_alone() -> None:
    section = Section()
    section.open()
    old = list(section.reactor.ports)
    section.listeners.close()
    section.open()
    closed = section.listeners.close()
    assert not closed.called
    section.reactor.finish(*old)
    assert closed.called
    assert (section.reactor.ports, section.bound) == (old, 1)


def service(*endpoints: str, name: str = "s") -> str:
    listen = "\n  ".join(("", *endpoints))
    return f"[service:{name}]\nkind = multi\nlisten ={listen}\n"


def failed_start(folder: Path, ini: str, *options: str) -> str:
    """Return the error message of a daemon that cannot start."""
    (folder / "sockd.ini").write_text(ini, encoding="utf-8")
    done = run_twistd(*options, "-n", "sockd", "-c", "sockd.ini", folder=folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_one_endpoint_of_a_service_that_cannot_be_bound_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        said = failed_start(tmp_path, service("tcp:0:interface=127.0.0.1", endpoint))
    assert said.startswith(f"sockd.ini:5: [service:s] listen: {endpoint} cannot be bound: ")
    assert len(said.splitlines()) == 1


def test_in_the_background_the_terminal_sees_every_endpoint_that_cannot_be_bound(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tcp = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        nowhere = "tcp:0:interface=192.0.2.1"
        ini = service("tcp:0:interface=127.0.0.1") + service(tcp, nowhere, name="t")
        (tmp_path / "sockd.ini").write_text(ini, encoding="utf-8")
        words = ("--pidfile=pid", "--logfile=log", "sockd", "-c", "sockd.ini")
        done = run_twistd(*words, folder=tmp_path)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("sockd.ini:")]
    for line, number, endpoint in zip(lines, (8, 9), (tcp, nowhere), strict=True):
        assert line.startswith(f"sockd.ini:{number}: [service:t] listen: {endpoint} cannot be")
        assert line.endswith(")")
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("together", [True, False], ids=["one-service", "two-services"])
@pytest.mark.parametrize("reactor", ["default", "asyncio"])
def test_a_start_that_fails_leaves_no_unix_socket_behind(
    tmp_path: Path, together: bool, reactor: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unix, tcp = f"unix:{folder}/lab.sock", f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        ini = service(unix, tcp) if together else service(unix) + service(tcp, name="t")
        failed_start(tmp_path, ini, f"--reactor={reactor}")
    assert list(folder.iterdir()) == []


def test_a_unix_socket_of_somebody_else_is_left_alone_however_often_one_tries(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lab.sock"
    with socket.socket(socket.AF_UNIX) as owner, socket.socket(socket.AF_UNIX) as client:
        owner.bind(str(path))
        owner.listen()
        for _ in range(2):
            said = failed_start(tmp_path, service(f"unix:{path}"))
            assert "another process has a socket there" in said
        client.connect(str(path))
    assert not path.with_suffix(".sock.lock").is_symlink()


def test_a_system_without_ipv6_is_told_what_to_write_instead() -> None:
    endpoint = parse_stream(r"tcp:7000:interface=\:\:", PLACE)
    error = OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    assert str(bind_problem(endpoint, error)) == (
        r"lab.ini:3: [service:s] listen: tcp:7000:interface=\:\: cannot be bound: "
        "Address family not supported by protocol "
        "(this system has no IPv6; interface=0.0.0.0 is every IPv4 address)"
    )


def test_the_error_for_a_socket_that_systemd_does_not_pass_has_a_hint(tmp_path: Path) -> None:
    (tmp_path / "lab.ini").write_text(
        "[service:s]\nkind = tcp\nlisten = systemd:domain=INET:index=0\n", encoding="utf-8"
    )
    done = run_twistd("-n", "sockd", "-c", "lab.ini", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("lab.ini:3: [service:s] listen: 'systemd:domain=INET:index=0' ")
    assert done.stderr.endswith("its index from 0, or its FileDescriptorName)\n")
