"""The admin shell over telnet (RFC 854): a user name, a password, and the same shell.

All of it is plain text, so the configuration lets it listen on loopback and unix sockets only.
"""
# mypy: allow-untyped-calls
# Most of conch has no types.

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

_TRIES = 3
_LONGEST_LINE = 1024
_LONGEST_AHEAD = 64 * 1024
_DELAY = 1.0
"""How long the answer to a wrong password takes, in seconds."""

ShellMaker = Callable[[Role, AdminConnection, Callable[[], bool]], Shell]
"""Makes a shell; the last argument tells whether its client is slow."""


class TelnetServerFactory(Factory):
    """Receives the telnet clients of one listener."""

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
        """Return what Twisted's own log lines call it."""
        return "admin over telnet"

    def buildProtocol(self, addr: IAddress | None) -> TelnetConnection:
        """Return what serves one client."""
        return TelnetConnection(TelnetLogin, self._access, self._connections, self._make_shell)


class TelnetConnection(TelnetTransport):
    """The connection of one client, with telnet's own commands taken out of the text."""

    transport: ITCPTransport
    protocol: TelnetLogin
    _log = PartLogger("sockd.admin")

    def connectionMade(self) -> None:
        """Begin, with an eye on what waits to be sent."""
        self.congestion = Congestion(cast(IStream, self.transport))
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Go on; a client that breaks the protocol is cut off."""
        try:
            super().dataReceived(data)
        except Exception as error:  # what a client sends may be anything, and what conch raises too
            self.protocol.broke_off(exception_summary(error))
            self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abortConnection()


class TelnetLogin(TelnetProtocol):
    """Asks one client who it is, and then hands its bytes to a shell."""

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
        self._is_judging = False
        self._typed_ahead = bytearray()
        self._tries = 0
        self._terminal: Terminal | None = None
        self._paced: InputPacer | None = None
        self._feed: Callable[[bytes], None] | None = None

    def connectionMade(self) -> None:
        """Ask for the user's name, unless too many are at the door."""
        self._connection = self._connections.add(self, "telnet", self.transport.getPeer())
        if self._connection is None:
            self.abort()
        else:
            self.transport.negotiationMap[NAWS] = self._window_size
            self._say("Username: ")

    def dataReceived(self, data: bytes) -> None:
        """Gather lines until the shell takes over."""
        if self._connection is not None and self._connection.is_leaving:
            return
        if self._feed is not None and self._connection is not None:
            self._connection.active()
            self._feed(data)
            return
        for number in data:
            self._typed(bytes([number]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Close what was open."""
        if self._paced is not None:
            self._paced.close()
        if self._terminal is not None:
            self._terminal.hung_up()
        if self._connection is not None:
            self._connection.gone()

    def enableLocal(self, option: bytes) -> bool:
        """Agree to echo what is typed, and to do so character by character (RFC 857, 858)."""
        return option in {ECHO, SGA}

    def enableRemote(self, option: bytes) -> bool:
        """Agree to hear of the size of the window (RFC 1073)."""
        return option in {NAWS, SGA}

    def disableLocal(self, option: bytes) -> None:
        """Take note that the client wants no echo."""

    def disableRemote(self, option: bytes) -> None:
        """Take note that the client does not tell the size of its window any more."""

    def broke_off(self, why: str) -> None:
        """Take note that what the client sends makes no sense."""
        if self._connection is not None:
            self._connection.broke_off(why)

    def leave(self, why: str) -> None:
        """Tell the client that this is the end."""
        self._say(f"\r\n{why[:1].upper()}{why[1:]}.\r\n")
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _typed(self, character: bytes) -> None:
        if self._feed is not None:
            self._feed(character)
        elif self._is_judging:
            self._typed_ahead += character[: _LONGEST_AHEAD - len(self._typed_ahead)]
        elif character in {b"\r", b"\n"}:
            line, self._line = self._line, b""
            self._receive(line)
        elif character in {b"\x03", b"\x04"}:
            self.transport.loseConnection()
        elif character in {b"\b", b"\x7f"}:
            self._line = self._line[:-1]
        elif len(self._line) < _LONGEST_LINE:
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
        self._is_judging = True
        judgement = Deferred.fromCoroutine(self._log_in(self._user, line))
        judgement.addCallbacks(lambda _: self._go_on(), self._give_up)

    def _go_on(self) -> None:
        """Take what was typed while the password was judged, unless this is the end."""
        if self._tries == _TRIES or self._connection is None or self._connection.is_gone:
            return
        self._is_judging = False
        data, self._typed_ahead = bytes(self._typed_ahead), bytearray()
        self.dataReceived(data)

    def _give_up(self, failure: Failure) -> None:
        self._log.failure("A password could not be judged", failure)
        self.abort()

    async def _log_in(self, user: bytes, password: bytes) -> None:
        """Judge a password, and open the shell or ask again."""
        self._say("\r\n")
        grant = await self._judge(user, password)
        if self._connection is None or self._connection.is_gone:
            return
        if grant is None:
            await self._refuse(user)
        elif self._connection.logged_in(grant, "password"):
            self._open_shell(grant.role, self._connection)
        else:
            self.leave(f"all of the {self._connections.max_sessions} sessions are taken")

    async def _judge(self, user: bytes, password: bytes) -> Grant | None:
        """Return what a password grants; ``None`` if that is nothing."""
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
        self._tries += 1
        await deferLater(self._connections.reactor, _DELAY)
        if self._connection.is_gone:
            return
        self._say("Login incorrect\r\n")
        if self._tries == _TRIES:
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
            self._paced = InputPacer(
                self._connections.reactor,
                self._feed,
                self._is_congested,
                self.transport.loseConnection,
            )
            self._feed = self._paced.write

    def _is_congested(self) -> bool:
        return self.transport.congestion.is_on

    def _window_size(self, data: list[bytes]) -> None:
        octets = b"".join(data)
        if self._terminal is not None and len(octets) == 4:
            self._terminal.resize(*struct.unpack("!HH", octets))

    def _say(self, text: str) -> None:
        self._send(text.encode("utf-8"))

    def _send(self, data: bytes) -> None:
        """Send text; the transport makes each line end the network's."""
        self.transport.write(data.replace(b"\r\n", b"\n"))


def _agree(answer: Deferred[bool]) -> None:
    """Go on whatever the client says to an option, or if it leaves without an answer."""
    answer.addErrback(lambda failure: failure.trap(NegotiationError, ConnectionClosed) and None)
