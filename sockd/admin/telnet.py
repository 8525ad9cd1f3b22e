"""The admin shell over telnet (RFC 854): a login with user name and password, then the shell.

Telnet is not encrypted, so the configuration allows only loopback addresses and unix sockets.
"""
# mypy: allow-untyped-calls
# Most of conch is not typed.

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import cast

from twisted.conch.telnet import ECHO, NAWS, SGA, NegotiationError, TelnetProtocol, TelnetTransport
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sockd.admin.auth.access import Access
from sockd.admin.auth.grants import Grant
from sockd.admin.auth.roles import Role
from sockd.admin.congestion import Congestion, IStream
from sockd.admin.connections import AdminConnection, AdminConnections
from sockd.admin.prompt.input_pacer import InputPacer
from sockd.admin.prompt.terminal import Shell, Terminal
from sockd.support.logger import PartLogger
from sockd.support.text import exception_summary

_MAX_ATTEMPTS = 3
_MAX_LINE = 1024
_MAX_TYPE_AHEAD = 64 * 1024
_REFUSAL_DELAY = 1.0
"""The delay of the answer to a wrong password, in seconds."""

ShellMaker = Callable[[Role, AdminConnection, Callable[[], bool]], Shell]
"""Creates a shell; the last argument returns whether the client reads too slowly."""


class TelnetServerFactory(Factory):
    """The protocol factory of the telnet listeners."""

    noisy = False

    def __init__(
        self,
        access: Access,
        connections: AdminConnections,
        make_shell: ShellMaker,
    ) -> None:
        self._access = access
        self._connections = connections
        self._make_shell = make_shell

    def logPrefix(self) -> str:
        """Return the name for Twisted's own log lines."""
        return "admin over telnet"

    def buildProtocol(self, addr: IAddress | None) -> TelnetConnection:
        """Return the protocol of one client."""
        return TelnetConnection(TelnetLogin, self._access, self._connections, self._make_shell)


class TelnetConnection(TelnetTransport):
    """The connection of one client; it processes telnet's commands."""

    transport: ITCPTransport
    protocol: TelnetLogin
    _log = PartLogger("sockd.admin")

    def connectionMade(self) -> None:
        """Start the protocol with flow control."""
        self.congestion = Congestion(cast(IStream, self.transport))
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Process input; abort the connection if the client violates the protocol."""
        try:
            super().dataReceived(data)
        except Exception as error:  # conch may raise anything for malformed input
            self.protocol.broke_off(exception_summary(error))
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abortConnection()


class TelnetLogin(TelnetProtocol):
    """The login of one client; after it, input is passed to a shell."""

    _log = PartLogger("sockd.admin")
    transport: TelnetConnection  # type: ignore[assignment]

    def __init__(
        self,
        access: Access,
        connections: AdminConnections,
        make_shell: ShellMaker,
    ) -> None:
        self._access = access
        self._connections = connections
        self._make_shell = make_shell
        self._connection: AdminConnection | None = None
        self._receive: Callable[[bytes], None] = self._user_name
        self._line = b""
        self._is_checking = False
        self._typed_ahead = bytearray()
        self._attempts = 0
        self._terminal: Terminal | None = None
        self._pacer: InputPacer | None = None
        self._feed: Callable[[bytes], None] | None = None

    def connectionMade(self) -> None:
        """Ask for the user name, unless too many connections are unauthenticated."""
        self._connection = self._connections.add(self, "telnet", self.transport.getPeer())
        if self._connection is None:
            self.abort()
        else:
            self.transport.negotiationMap[NAWS] = self._window_size
            self._say("Username: ")

    def dataReceived(self, data: bytes) -> None:
        """Collect lines during the login; then pass input to the shell."""
        if self._connection is not None and self._connection.is_leaving:
            return
        if self._feed is not None and self._connection is not None:
            self._connection.active()
            self._feed(data)
            return
        for number in data:
            self._typed(bytes([number]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Clean up."""
        if self._pacer is not None:
            self._pacer.close()
        if self._terminal is not None:
            self._terminal.hung_up()
        if self._connection is not None:
            self._connection.gone()

    def enableLocal(self, option: bytes) -> bool:
        """Accept to echo input, character by character (RFC 857, 858)."""
        return option in {ECHO, SGA}

    def enableRemote(self, option: bytes) -> bool:
        """Accept the negotiation of the window size (RFC 1073)."""
        return option in {NAWS, SGA}

    def disableLocal(self, option: bytes) -> None:
        """Ignore that the client disables an option."""

    def disableRemote(self, option: bytes) -> None:
        """Ignore that the client stops sending its window size."""

    def broke_off(self, why: str) -> None:
        """Log that the client violated the protocol."""
        if self._connection is not None:
            self._connection.broke_off(why)

    def leave(self, why: str) -> None:
        """Send the reason, and close the connection."""
        self._say(f"\r\n{why[:1].upper()}{why[1:]}.\r\n")
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _typed(self, character: bytes) -> None:
        if self._feed is not None:
            self._feed(character)
        elif self._is_checking:
            self._typed_ahead += character[: _MAX_TYPE_AHEAD - len(self._typed_ahead)]
        elif character in {b"\r", b"\n"}:
            line, self._line = self._line, b""
            self._receive(line)
        elif character in {b"\x03", b"\x04"}:
            self.transport.loseConnection()
        elif character in {b"\b", b"\x7f"}:
            self._line = self._line[:-1]
        elif len(self._line) < _MAX_LINE:
            self._line += character

    def _user_name(self, line: bytes) -> None:
        if not line:
            return
        self._user = line
        self._receive = self._password
        _agree(self.transport.will(ECHO))
        self._say("Password: ")

    def _password(self, line: bytes) -> None:
        self._receive = self._user_name
        self._is_checking = True
        login = Deferred.fromCoroutine(self._log_in(self._user, line))
        login.addCallbacks(lambda _: self._process_type_ahead(), self._check_failed)

    def _process_type_ahead(self) -> None:
        """Process what was typed during the check of a password, unless the login has failed."""
        is_last = self._attempts == _MAX_ATTEMPTS
        if is_last or self._connection is None or self._connection.is_gone:
            return
        self._is_checking = False
        data, self._typed_ahead = bytes(self._typed_ahead), bytearray()
        self.dataReceived(data)

    def _check_failed(self, failure: Failure) -> None:
        self._log.failure("A password could not be checked", failure)
        self.abort()

    async def _log_in(self, user: bytes, password: bytes) -> None:
        """Check a password, and open the shell or ask again."""
        self._say("\r\n")
        grant = await self._check(user, password)
        if self._connection is None or self._connection.is_gone:
            return
        if grant is None:
            await self._refuse(user)
        elif self._connection.logged_in(grant, "password"):
            self._open_shell(grant.role, self._connection)
        else:
            self.leave(f"the limit of {self._connections.max_sessions} sessions is reached")

    async def _check(self, user: bytes, password: bytes) -> Grant | None:
        """Return the grant of a password, or ``None`` if it is refused."""
        if self._connection is None or not await self._connection.turn():
            return None
        try:
            return await self._access.by_password(user, password)
        except UnauthorizedLogin:
            return None

    async def _refuse(self, user: bytes) -> None:
        if self._connection is None or self._connection.is_gone:
            return
        self._connection.refused(user, "password")
        self._attempts += 1
        await deferLater(self._connections.reactor, _REFUSAL_DELAY)
        if self._connection.is_gone:
            return
        self._say("Login incorrect\r\n")
        if self._attempts == _MAX_ATTEMPTS:
            self.transport.loseConnection()
            return
        _agree(self.transport.wont(ECHO))
        self._say("Username: ")

    def _open_shell(self, role: Role, connection: AdminConnection) -> None:
        for answer in (
            self.transport.will(SGA),
            self.transport.do(SGA),
            self.transport.do(NAWS),
        ):
            _agree(answer)
        shell = self._make_shell(role, connection, self._is_congested)
        connection.screens.add(shell.screen)
        self._terminal = Terminal(shell, self._send, self.transport.loseConnection)
        self._feed = self._terminal.dataReceived
        if role is Role.VIEWER:
            self._pacer = InputPacer(
                self._connections.reactor,
                self._feed,
                self._is_congested,
                self.transport.loseConnection,
            )
            self._feed = self._pacer.write

    def _is_congested(self) -> bool:
        return self.transport.congestion.is_on

    def _window_size(self, data: list[bytes]) -> None:
        octets = b"".join(data)
        if self._terminal is not None and len(octets) == 4:
            self._terminal.resize(*struct.unpack("!HH", octets))

    def _say(self, text: str) -> None:
        self._send(text.encode("utf-8"))

    def _send(self, data: bytes) -> None:
        """Send text; the transport converts newlines to CR LF."""
        self.transport.write(data.replace(b"\r\n", b"\n"))


def _agree(answer: Deferred[bool]) -> None:
    """Ignore a refused option, and a connection that closes before the answer."""
    answer.addErrback(lambda failure: failure.trap(NegotiationError, ConnectionClosed) and None)
