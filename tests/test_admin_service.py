"""The service binds all or nothing, and says what is wrong with what it kept."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.admin.auth.access import Access
from sockd.admin.connections import LOGIN_TIME, AdminConnections
from sockd.admin.descriptors import MAX_UNAUTHENTICATED
from sockd.admin.ssh import Login, SSHClient, SSHServerFactory
from sockd.admin.telnet import TelnetServerFactory
from sockd.process.state import HOST_KEY, PASSWORD
from sockd.reactor import IReactor
from tests.conftest import RunSockd
from tests.harness import run_twistd
from tests.test_admin_roles import line
from tests.test_admin_ssh import INI

pytestmark = pytest.mark.dependencies

PEER = IPv4Address("TCP", "192.0.2.1", 1234)


def start(folder: Path, ini: str) -> str:
    """Return what a daemon says that cannot start."""
    (folder / "a.ini").write_text(ini, encoding="utf-8")
    end = run_twistd("-n", "sockd", "-c", "a.ini", folder=folder)
    assert end.returncode == 1
    assert "Traceback" not in end.stderr
    return end.stderr


def test_ports_that_cannot_be_had_are_all_named(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ssh, telnet = one.getsockname()[1], two.getsockname()[1]
        ini = INI.replace("ssh = tcp:0", f"ssh = tcp:{ssh}")
        said = start(tmp_path, f"{ini}telnet = tcp:{telnet}:interface=127.0.0.1\n")
    assert f"a.ini:7: [admin] ssh: tcp:{ssh}:interface=127.0.0.1 cannot be bound" in said
    assert f"a.ini:8: [admin] telnet: tcp:{telnet}:interface=127.0.0.1 cannot be bound" in said


@pytest.mark.parametrize("option", ["ssh = tcp:0", "listen = tcp:0"])
def test_a_start_that_fails_leaves_no_password_that_nobody_was_shown(
    tmp_path: Path, option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ini = INI.replace(option, option.replace("0", str(taken.getsockname()[1])), 1)
        assert "cannot be bound" in start(tmp_path, ini)
    kept = {file.name for file in (tmp_path / "var").iterdir()}
    assert kept == {HOST_KEY}, "neither a hash nor a password"


def test_the_banner_names_somebody_who_can_log_in(run_sockd: RunSockd, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text(line("mary") + line("john"), encoding="utf-8")
    sockd = run_sockd(f"{INI}passwd = {tmp_path}/passwd\n")
    sockd.wait_for(r"admin: ssh -p \d+ mary@127\.0\.0\.1$")


@pytest.mark.parametrize("name", [HOST_KEY, PASSWORD])
def test_what_is_damaged_in_the_state_directory_is_named(tmp_path: Path, name: str) -> None:
    state = tmp_path / "var"
    state.mkdir(0o700)
    (state / name).write_text("nonsense", encoding="utf-8")
    said = start(tmp_path, INI)
    assert f"{state / name}: the h" in said
    assert "(remove it, and sockd creates a new one)" in said


def test_without_an_admin_section_no_part_of_conch_is_imported() -> None:
    program = (
        "import sys, sockd.tap, sockd.admin.auth.passwords;"
        "sys.exit(any(name.startswith('twisted.conch') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class FakeClient:
    """The connection of a client that logs in."""

    def __init__(self, connections: AdminConnections) -> None:
        self.connection = connections.add(self, "ssh", PEER)
        self.factory = type(
            "FakeFactory", (), {"connections": connections, "portal": self, "secret": "secret"}
        )
        self.verdict: Deferred[object] = Deferred()
        self.sent: list[str] = []

    def listCredentialsInterfaces(self) -> list[object]:
        """Return no interface: the tests name the ways themselves."""
        return []

    def isEncrypted(self, direction: str) -> bool:
        """Say yes."""
        return True

    def login(self, *_: object) -> Deferred[object]:
        """Leave the verdict to the test."""
        return self.verdict

    def sendDisconnect(self, reason: int, description: bytes) -> None:
        """Record the call."""
        self.sent.append(description.decode())

    def leave(self, why: str) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""


class Desk:
    """Where a client logs in with passwords."""

    def __init__(self) -> None:
        self.client = FakeClient(AdminConnections(cast("IReactor", Clock())))
        self.login = Login()
        self.login.transport = cast("SSHClient", self.client)
        self.login.serviceStarted()
        self.login.user = b"admin"
        self.login.supportedAuthentications = [b"password"]

    def attempt(self, data: bytes = b"\0" + NS(b"secret")) -> list[object]:
        """Return what will hold the verdict."""
        verdicts: list[object] = []
        self.login.tryAuth(b"password", b"admin", data).addBoth(verdicts.append)
        return verdicts


def is_refusal(result: object) -> bool:
    return isinstance(result, Failure) and result.check(UnauthorizedLogin) is not None


def test_a_client_that_does_not_wait_for_the_verdict_must_go() -> None:
    desk = Desk()
    first = desk.attempt()
    [second] = desk.attempt()
    assert is_refusal(second)
    assert desk.client.sent == ["one login at a time"]
    assert first == []


def test_a_verdict_for_a_client_that_is_gone_lets_nobody_in() -> None:
    desk = Desk()
    verdict = desk.attempt()
    assert desk.client.connection is not None
    desk.client.connection.gone()
    desk.client.verdict.callback(("interface", "avatar", "logout"))
    assert is_refusal(verdict[0])
    assert not desk.client.connection.is_in


def test_an_attempt_that_is_malformed_is_refused() -> None:
    [verdict] = Desk().attempt(b"\0\0")
    assert is_refusal(verdict)


def test_what_a_client_calls_its_key_is_no_format_for_the_log() -> None:
    desk = Desk()
    desk.login.supportedAuthentications = [b"publickey"]
    lines: list[str] = []
    data = b"\0" + NS(b"{log_source.transport.factory.secret}") + NS(b"no key")
    with observed(lines):
        verdicts: list[object] = []
        desk.login.tryAuth(b"publickey", b"admin", data).addBoth(verdicts.append)
    assert is_refusal(verdicts[0])
    assert [one for one in lines if "secret" in one or "format" in one] == []
    assert any("Admin login refused: admin" in one for one in lines)


@contextmanager
def observed(lines: list[str]) -> Iterator[None]:
    """Gather what is logged."""

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield
    globalLogPublisher.removeObserver(observe)


def test_too_many_strangers_are_hung_up_on() -> None:
    connections = AdminConnections(cast("IReactor", Clock()))
    for _ in range(MAX_UNAUTHENTICATED):
        FakeClient(connections)
    client = SSHClient()
    client.factory = cast("SSHServerFactory", type("FakeFactory", (), {"connections": connections}))
    transport = StringTransport(peerAddress=PEER)
    client.makeConnection(transport)  # type: ignore[no-untyped-call]
    client.dataReceived(b"SSH-2.0-x\r\n")
    client.connectionLost()
    assert transport.disconnecting
    assert transport.value() == b""


def an_ssh_client(connections: AdminConnections) -> Protocol:
    key = Key(ed25519.Ed25519PrivateKey.generate())
    factory = SSHServerFactory(key, Access(connections.reactor), connections, no_session)
    factory.startFactory()
    return cast("Protocol", factory.buildProtocol(PEER))


def no_session(*_: object) -> NoReturn:
    raise AssertionError


def a_telnet_client(connections: AdminConnections) -> Protocol:
    access = Access(connections.reactor)
    return TelnetServerFactory(access, connections, no_session).buildProtocol(PEER)


@pytest.mark.parametrize("make", [an_ssh_client, a_telnet_client])
def test_who_drips_bytes_has_to_go_when_who_is_silent_has(
    make: Callable[[AdminConnections], Protocol],
) -> None:
    clock = Clock()
    client = make(AdminConnections(cast("IReactor", clock)))
    transport = StringTransport(peerAddress=PEER)
    client.makeConnection(transport)
    for _ in range(int(LOGIN_TIME)):
        assert not transport.disconnecting
        client.dataReceived(b"x")
        clock.advance(1)
    assert transport.disconnecting


def test_what_conch_cannot_take_is_one_line_and_the_end() -> None:
    client = an_ssh_client(AdminConnections(cast("IReactor", Clock())))
    transport = StringTransport(peerAddress=PEER)
    client.makeConnection(transport)
    client.dataReceived(b"SSH-2.0-x\r\n" + bytes([0, 0, 0, 12, 4, 20]) + bytes(10))
    assert transport.disconnecting
