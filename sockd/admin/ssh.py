"""The admin shell over SSH (RFC 4251 to 4254): the transport, the logins and the sessions.

Forwarding, agents, file transfer and compression are not supported. With compression, a small
packet could fill the memory, even before the login.
"""
# mypy: allow-untyped-calls
# Most of conch is not typed.

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from struct import pack, unpack_from
from typing import cast

from twisted.conch.avatar import ConchUser
from twisted.conch.error import ConchError, IgnoreAuthentication
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import (
    MSG_CHANNEL_OPEN_FAILURE,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_RESOURCE_SHORTAGE,
    SSHConnection,
)
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import BadKeyError, Key
from twisted.conch.ssh.session import SSHSession, SSHSessionProcessProtocol, parseRequest_pty_req
from twisted.conch.ssh.transport import (
    DISCONNECT_BY_APPLICATION,
    DISCONNECT_PROTOCOL_ERROR,
    DISCONNECT_TOO_MANY_CONNECTIONS,
    MSG_KEXINIT,
    MSG_NEWKEYS,
    SSHServerTransport,
)
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.credentials import (
    ISSHPrivateKey,
    IUsernamePassword,
    SSHPrivateKey,
    UsernamePassword,
)
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import ITCPTransport
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import Interface

from sockd.admin.auth.access import SIGNATURES, Access
from sockd.admin.auth.grants import KEY, PASSWORD, Grant
from sockd.admin.auth.roles import Role
from sockd.admin.congestion import Congestion, IStream
from sockd.admin.connections import AdminConnection, AdminConnections
from sockd.support.text import exception_summary, printable

_MAX_REFUSALS = 5
"""The number of logins that may fail; the next failure closes the connection."""

_MAX_CHANNELS = 10
"""The maximum number of sessions of a connection, as with OpenSSH."""

_MIN_PACKET_SIZE = 256
"""The smallest accepted maximum packet size, in bytes; with 0, conch would loop forever."""

_FIRST_SERVICE_MESSAGE = 50
"""Messages from this number on belong to services above the transport (RFC 4251, 7)."""

_SESSION = b"session"
_PASSWORD = b"password"
_PUBLIC_KEY = b"publickey"

_CREDENTIALS = {ISSHPrivateKey: KEY, IUsernamePassword: PASSWORD}
"""The methods of a login by conch's interfaces."""

SessionMaker = Callable[[Role, AdminConnection, Callable[[], bool]], ISession]
"""Creates a session; the last argument returns whether the client reads too slowly."""

Proof = SSHPrivateKey | UsernamePassword
Admission = tuple[type[IConchUser], IConchUser, Callable[[], None]]


def _quiet() -> Logger:
    """Return a logger for conch that drops its messages about each step of a key exchange."""
    warnings = LogLevelFilterPredicate(LogLevel.warn)
    return Logger(observer=FilteringLogObserver(globalLogPublisher, [warnings]))


class SSHServerFactory(SSHFactory):
    """The protocol factory of the SSH listeners.

    :param access: checks the logins. Only methods that have credentials are offered.
    :param make_session: creates the session of a channel.
    """

    noisy = False
    _log = _quiet()

    def __init__(
        self,
        host_key: Key,
        access: Access,
        connections: AdminConnections,
        make_session: SessionMaker,
    ) -> None:
        self.protocol = SSHClient
        self.services = {b"ssh-userauth": Login, b"ssh-connection": Channels}
        self.publicKeys = {host_key.sshType(): host_key.public()}
        self.privateKeys = {host_key.sshType(): host_key}
        self.portal = _Portal(access, make_session)
        self.connections = connections

    def logPrefix(self) -> str:
        """Return the name for Twisted's own log lines."""
        return "admin over SSH"


class SSHClient(SSHServerTransport):
    """The SSH transport of one client.

    :ivar is_changing_keys: whether the client has started a key exchange that is not complete.
    """

    factory: SSHServerFactory
    transport: ITCPTransport
    connection: AdminConnection | None = None
    congestion: Congestion
    is_changing_keys = False
    supportedCompressions = [b"none"]  # noqa: RUF012 - conch declares it so
    _log = _quiet()

    def connectionMade(self) -> None:
        """Start the protocol, unless too many connections are unauthenticated."""
        self.connection = self.factory.connections.add(self, "ssh", self.transport.getPeer())
        if self.connection is None:
            self.transport.abortConnection()
        else:
            self.congestion = Congestion(cast(IStream, self.transport))
            super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Process input; abort the connection if the client violates the protocol."""
        if self.connection is None or self.connection.is_leaving or self.connection.is_gone:
            return
        try:
            super().dataReceived(data)
        except Exception as error:  # conch may raise anything for malformed input
            self.connection.broke_off(exception_summary(error))
            self.abort()

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        """Process a message; refuse those that are not allowed in a key exchange (RFC 4253, 7.1).

        Conch would keep the answers in memory until the client completes the key exchange.
        """
        if self.is_changing_keys and messageNum >= _FIRST_SERVICE_MESSAGE:
            message = "a message during a key exchange"
            raise ConchError(message)
        if messageNum in (MSG_KEXINIT, MSG_NEWKEYS):
            self.is_changing_keys = messageNum == MSG_KEXINIT
        super().dispatchMessage(messageNum, payload)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Clean up."""
        if self.connection is not None:
            super().connectionLost(reason)
            self.connection.gone()

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:
        """Send the signature algorithms of a login (RFC 8308, 3.1).

        Conch lists only those of the host key. Clients would not try keys of other types.
        """
        corrected = {**dict(extensions), b"server-sig-algs": b",".join(SIGNATURES)}
        super().sendExtInfo(list(corrected.items()))

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """Ignore the client's disconnect reason. The log has the logout."""

    def leave(self, why: str) -> None:
        """Send the reason to the client, and close the connection."""
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, why.encode())

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abortConnection()


class Login(SSHUserAuthServer):
    """The login of a client (RFC 4252), one attempt at a time."""

    transport: SSHClient
    _log = _quiet()
    attemptsBeforeDisconnect = _MAX_REFUSALS

    def serviceStarted(self) -> None:
        """Offer the methods that have credentials."""
        connection = self.transport.connection
        self.clock = self.transport.factory.connections.reactor
        self._is_checking = False
        super().serviceStarted()
        self.loginAttempts = connection.refusals if connection is not None else _MAX_REFUSALS

    def tryAuth(self, kind: bytes, user: bytes, data: bytes) -> Deferred[Admission]:
        """Check an attempt; disconnect a client that starts another one meanwhile."""
        if self._is_checking:
            self.transport.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, b"one login at a time")
            return fail(UnauthorizedLogin("one login at a time"))
        self._is_checking = True
        attempt = Deferred.fromCoroutine(self._attempt(kind, user, data))
        return attempt.addBoth(self._checked, kind, user, _method(kind, data))

    async def _attempt(self, kind: bytes, user: bytes, data: bytes) -> Admission:
        """Check an attempt. A password waits for the delay after failed attempts of its source.

        Keys cannot be guessed, so they do not wait.
        """
        connection = self.transport.connection
        if connection is None or connection.is_in:
            message = "a login at the wrong time"
            raise UnauthorizedLogin(message)
        if (
            kind == _PASSWORD
            and kind in self.supportedAuthentications
            and not await connection.turn()
        ):
            message = "too many attempts"
            raise UnauthorizedLogin(message)
        return await super().tryAuth(kind, user, data)

    def auth_publickey(self, packet: bytes) -> Deferred[Admission]:
        """Check a login with a public key.

        For a key that it cannot parse, conch uses the client's text as a format string of a log
        message. That could reveal any attribute of this object, even the private host key.
        """
        blob = getNS(packet[1:], 2)[1]
        try:
            Key.fromString(blob)
        except BadKeyError:
            return fail(UnauthorizedLogin("an unknown sort of key, or a damaged one"))
        return super().auth_publickey(packet)

    def _checked(
        self, result: Admission | Failure, kind: bytes, user: bytes, method: str
    ) -> Admission | Failure:
        self._is_checking = False
        connection = self.transport.connection
        if connection is None or connection.is_gone:
            return Failure(UnauthorizedLogin("the client is gone"))
        if not isinstance(result, Failure):
            return (
                result
                if connection.logged_in(cast(Avatar, result[1]).grant, method)
                else self._no_room()
            )
        if result.check(IgnoreAuthentication):
            return result
        if kind != b"none":
            connection.refused(user, method)
        if result.check(UnauthorizedLogin, ConchError):
            return result
        return Failure(UnauthorizedLogin(f"malformed: {result.getErrorMessage()}"))

    def _no_room(self) -> Failure:
        most = self.transport.factory.connections.max_sessions
        words = f"the limit of {most} sessions is reached, try again later"
        self.transport.sendDisconnect(DISCONNECT_TOO_MANY_CONNECTIONS, words.encode())
        return Failure(UnauthorizedLogin(words))


def _method(kind: bytes, data: bytes) -> str:
    """Return the method of a login for the log, with the fingerprint of a key."""
    name = printable(kind.decode("utf-8", "backslashreplace")[:20])
    if kind != _PUBLIC_KEY:
        return name
    try:
        blob = getNS(data[1:], 2)[1]
    except Exception:  # malformed; the attempt fails in conch
        return name
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{name} SHA256:{digest}"


class Channels(SSHConnection):
    """The channels of a client after the login (RFC 4254): sessions only."""

    transport: SSHClient
    _log = _quiet()

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        """Open a session; refuse other types of channels."""
        kind, rest = getNS(packet)
        sender, _, size = unpack_from(">3L", rest)
        if kind != _SESSION:
            self._refuse(sender, OPEN_ADMINISTRATIVELY_PROHIBITED, b"only sessions can be opened")
        elif len(self.channels) >= _MAX_CHANNELS:
            self._refuse(sender, OPEN_RESOURCE_SHORTAGE, b"too many sessions")
        elif size < _MIN_PACKET_SIZE:
            self._refuse(sender, OPEN_RESOURCE_SHORTAGE, b"the packets are too small")
        else:
            super().ssh_CHANNEL_OPEN(packet)

    def ssh_CHANNEL_DATA(self, packet: bytes) -> None:
        """Process input, and restart the idle timeout."""
        if self.transport.connection is not None:
            self.transport.connection.active()
        super().ssh_CHANNEL_DATA(packet)

    def _refuse(self, sender: int, reason: int, words: bytes) -> None:
        refusal = pack(">2L", sender, reason) + NS(words) + NS(b"")
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, refusal)


class Channel(SSHSession):
    """The channel of a session (RFC 4254, 6). :class:`AdminConnection` logs for it."""

    conn: Channels
    avatar: Avatar
    client: SSHSessionProcessProtocol | None
    _log = _quiet()

    def is_congested(self) -> bool:
        """Return whether output would wait: for a slow client, or for a key exchange."""
        client = self.conn.transport
        return bool(self.buf or self.extBuf or client.congestion.is_on or client.is_changing_keys)

    def request_shell(self, data: bytes) -> int:
        """Start a shell."""
        return self._begin(lambda session, client: session.openShell(client))

    def request_exec(self, data: bytes) -> int:
        """Run one command."""
        command = getNS(data)[0]
        return self._begin(lambda session, client: session.execCommand(client, command))

    def request_pty_req(self, data: bytes) -> int:
        """Pass the client's terminal to the session."""
        self._own_session().getPty(*parseRequest_pty_req(data))
        return 1

    def request_window_change(self, data: bytes) -> int:
        """Pass the new size of the client's terminal to the session."""
        columns, rows, width, height = unpack_from(">4L", data)
        self._own_session().windowChanged((rows, columns, width, height))
        return 1

    def request_subsystem(self, data: bytes) -> int:
        """Refuse subsystems."""
        return 0

    def request_env(self, data: bytes) -> int:
        """Refuse environment variables."""
        return 0

    def _begin(self, start: Callable[[ISession, SSHSessionProcessProtocol], None]) -> int:
        if self.client is not None:
            return 0
        client = SSHSessionProcessProtocol(self)
        start(self._own_session(), client)
        self.client = client
        return 1

    def _own_session(self) -> ISession:
        if self.session is None:
            self.session = self.avatar.session(self)
        return self.session


class Avatar(ConchUser):
    """A user who has logged in.

    :ivar grant: the credential of the login, with the role of the sessions.
    """

    conn: Channels

    def __init__(self, grant: Grant, make_session: SessionMaker) -> None:
        super().__init__()
        self.channelLookup[_SESSION] = Channel
        self.grant = grant
        self._make_session = make_session

    def session(self, channel: Channel) -> ISession:
        """Return the session of a channel."""
        connection = self.conn.transport.connection
        if connection is None:
            message = "nobody is logged in"
            raise ConchError(message)
        return self._make_session(self.grant.role, connection, channel.is_congested)


class _Portal:
    """A replacement for :class:`twisted.cred.portal.Portal`.

    That class identifies a login by a name. This one returns a grant, which can be revoked.
    """

    def __init__(self, access: Access, make_session: SessionMaker) -> None:
        self._access = access
        self._make_session = make_session

    def listCredentialsInterfaces(self) -> list[type[Interface]]:
        """Return the credential interfaces of the methods that are offered now."""
        methods = self._access.methods
        return [one for one, method in _CREDENTIALS.items() if method in methods]

    def login(
        self, credentials: Proof, mind: object, *interfaces: type[Interface]
    ) -> Deferred[Admission]:
        """Return a Deferred that fires with an avatar, or with an error of :class:`Access`."""
        return Deferred.fromCoroutine(self._login(credentials))

    async def _login(self, credentials: Proof) -> Admission:
        if isinstance(credentials, SSHPrivateKey):
            grant = self._access.by_key(credentials)
        else:
            grant = await self._access.by_password(credentials.username, credentials.password)
        return IConchUser, Avatar(grant, self._make_session), lambda: None
