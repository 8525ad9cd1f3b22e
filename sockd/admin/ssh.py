"""The admin shell over SSH (RFC 4251 to 4254): the door, the logins, and what may be opened.

There is no forwarding of any kind, no agent, no file transfer and no compression: a small packet
of that, from anybody who has not even logged in, could fill the memory.
"""
# mypy: allow-untyped-calls
# Most of conch has no types.

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

_TRIES = 5
"""How many logins may fail before the one that closes the connection."""

_MOST_CHANNELS = 10
"""How many sessions one connection may have at once, as with OpenSSH."""

_LEAST_PACKET = 256
"""What a client must take in one packet, in bytes; conch sends nothing for ever to one of 0."""

_FIRST_OF_SERVICES = 50
"""Messages from this number on are not about the connection itself (RFC 4251, 7)."""

_SESSION = b"session"
_PASSWORD = b"password"
_PUBLIC_KEY = b"publickey"

_CREDENTIALS = {ISSHPrivateKey: KEY, IUsernamePassword: PASSWORD}
"""The methods of logging in by what conch calls them."""

SessionMaker = Callable[[Role, AdminConnection, Callable[[], bool]], ISession]
"""Makes what serves a channel; the last argument tells whether its client is slow."""

Proof = SSHPrivateKey | UsernamePassword
Admission = tuple[type[IConchUser], IConchUser, Callable[[], None]]


def _quiet() -> Logger:
    """Return a logger for conch, which tells of every step of every key exchange."""
    warnings = LogLevelFilterPredicate(LogLevel.warn)
    return Logger(observer=FilteringLogObserver(globalLogPublisher, [warnings]))


class SSHServerFactory(SSHFactory):
    """Receives the SSH clients of one listener.

    :param access: checks the logins; a method by which nobody can log in is not offered.
    :param make_session: makes what serves one channel.
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
        """Return what Twisted's own log lines call it."""
        return "admin over SSH"


class SSHClient(SSHServerTransport):
    """The connection of one client.

    :ivar is_changing_keys: whether an exchange of keys is under way, which the client has begun.
    """

    factory: SSHServerFactory
    transport: ITCPTransport
    connection: AdminConnection | None = None
    congestion: Congestion
    is_changing_keys = False
    supportedCompressions = [b"none"]  # noqa: RUF012 - conch declares it so
    _log = _quiet()

    def connectionMade(self) -> None:
        """Begin the protocol, unless too many are at the door."""
        self.connection = self.factory.connections.add(self, "ssh", self.transport.getPeer())
        if self.connection is None:
            self.transport.abortConnection()
        else:
            self.congestion = Congestion(cast(IStream, self.transport))
            super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Go on with the protocol; a client that breaks it is cut off."""
        if self.connection is None or self.connection.is_leaving or self.connection.is_gone:
            return
        try:
            super().dataReceived(data)
        except Exception as error:  # what a client sends may be anything, and what conch raises too
            self.connection.broke_off(exception_summary(error))
            self.abort()

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        """Take a message, unless it must wait for the end of an exchange of keys (RFC 4253, 7.1).

        Its answer would have to wait too, in memory, for as long as the client likes.
        """
        if self.is_changing_keys and messageNum >= _FIRST_OF_SERVICES:
            message = "a message within an exchange of keys"
            raise ConchError(message)
        if messageNum in (MSG_KEXINIT, MSG_NEWKEYS):
            self.is_changing_keys = messageNum == MSG_KEXINIT
        super().dispatchMessage(messageNum, payload)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Close what was open."""
        if self.connection is not None:
            super().connectionLost(reason)
            self.connection.gone()

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:
        """Say which signatures a login may have (RFC 8308, 3.1).

        Conch names those of the host key, and clients with another sort of key would not try it.
        """
        named = {**dict(extensions), b"server-sig-algs": b",".join(SIGNATURES)}
        super().sendExtInfo(list(named.items()))

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """Take note that the client says why it goes: the log has its logout anyway."""

    def leave(self, why: str) -> None:
        """Tell the client that this is the end."""
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, why.encode())

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abortConnection()


class Login(SSHUserAuthServer):
    """Logs a client in (RFC 4252), one attempt at a time."""

    transport: SSHClient
    _log = _quiet()
    attemptsBeforeDisconnect = _TRIES

    def serviceStarted(self) -> None:
        """Offer the ways to log in that can succeed."""
        connection = self.transport.connection
        self.clock = self.transport.factory.connections.reactor
        self._is_judging = False
        super().serviceStarted()
        self.loginAttempts = connection.refusals if connection is not None else _TRIES

    def tryAuth(self, kind: bytes, user: bytes, data: bytes) -> Deferred[Admission]:
        """Judge an attempt; a client that does not wait for the verdict must go."""
        if self._is_judging:
            self.transport.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, b"one login at a time")
            return fail(UnauthorizedLogin("one login at a time"))
        self._is_judging = True
        attempt = Deferred.fromCoroutine(self._attempt(kind, user, data))
        return attempt.addBoth(self._judged, kind, user, _method(kind, data))

    async def _attempt(self, kind: bytes, user: bytes, data: bytes) -> Admission:
        """Judge an attempt; a password only when it is the turn of where it comes from.

        A key cannot be guessed: whoever has one is not held up by those who guess.
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

        Conch logs what a client calls a key that it cannot read as a format string, which could
        name any attribute of this object, down to the private host key.
        """
        blob = getNS(packet[1:], 2)[1]
        try:
            Key.fromString(blob)
        except BadKeyError:
            return fail(UnauthorizedLogin("an unknown sort of key, or a damaged one"))
        return super().auth_publickey(packet)

    def _judged(
        self, result: Admission | Failure, kind: bytes, user: bytes, method: str
    ) -> Admission | Failure:
        self._is_judging = False
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
        words = f"all of the {most} sessions are taken, try again later"
        self.transport.sendDisconnect(DISCONNECT_TOO_MANY_CONNECTIONS, words.encode())
        return Failure(UnauthorizedLogin(words))


def _method(kind: bytes, data: bytes) -> str:
    """Return how somebody tries to log in, for the log: a key with its fingerprint."""
    name = printable(kind.decode("utf-8", "backslashreplace")[:20])
    if kind != _PUBLIC_KEY:
        return name
    try:
        blob = getNS(data[1:], 2)[1]
    except Exception:  # conch says so too, in an attempt that fails
        return name
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{name} SHA256:{digest}"


class Channels(SSHConnection):
    """What a client that is logged in may open (RFC 4254): sessions."""

    transport: SSHClient
    _log = _quiet()

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        """Open a session, or refuse whatever else it is."""
        kind, rest = getNS(packet)
        sender, _, size = unpack_from(">3L", rest)
        if kind != _SESSION:
            self._refuse(sender, OPEN_ADMINISTRATIVELY_PROHIBITED, b"only sessions can be opened")
        elif len(self.channels) >= _MOST_CHANNELS:
            self._refuse(sender, OPEN_RESOURCE_SHORTAGE, b"too many sessions")
        elif size < _LEAST_PACKET:
            self._refuse(sender, OPEN_RESOURCE_SHORTAGE, b"the packets are too small")
        else:
            super().ssh_CHANNEL_OPEN(packet)

    def ssh_CHANNEL_DATA(self, packet: bytes) -> None:
        """Take what a person types."""
        if self.transport.connection is not None:
            self.transport.connection.active()
        super().ssh_CHANNEL_DATA(packet)

    def _refuse(self, sender: int, reason: int, words: bytes) -> None:
        refusal = pack(">2L", sender, reason) + NS(words) + NS(b"")
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, refusal)


class Channel(SSHSession):
    """One session (RFC 4254, 6). It logs nothing itself: the guest does, within bounds."""

    conn: Channels
    avatar: Avatar
    client: SSHSessionProcessProtocol | None
    _log = _quiet()

    def is_congested(self) -> bool:
        """Whether the client does not take what it is sent, or cannot be sent anything yet."""
        client = self.conn.transport
        return bool(self.buf or self.extBuf or client.congestion.is_on or client.is_changing_keys)

    def request_shell(self, data: bytes) -> int:
        """Begin a shell."""
        return self._begin(lambda session, client: session.openShell(client))

    def request_exec(self, data: bytes) -> int:
        """Run one command."""
        command = getNS(data)[0]
        return self._begin(lambda session, client: session.execCommand(client, command))

    def request_pty_req(self, data: bytes) -> int:
        """Take note that the client has a terminal."""
        self._own_session().getPty(*parseRequest_pty_req(data))
        return 1

    def request_window_change(self, data: bytes) -> int:
        """Take note of a new size of the client's terminal."""
        columns, rows, width, height = unpack_from(">4L", data)
        self._own_session().windowChanged((rows, columns, width, height))
        return 1

    def request_subsystem(self, data: bytes) -> int:
        """Refuse: there is none."""
        return 0

    def request_env(self, data: bytes) -> int:
        """Refuse: there is no environment."""
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
    """Somebody who is logged in, and may have sessions.

    :ivar grant: what it has logged in with, which says what sort of sessions.
    """

    conn: Channels

    def __init__(self, grant: Grant, make_session: SessionMaker) -> None:
        super().__init__()
        self.channelLookup[_SESSION] = Channel
        self.grant = grant
        self._make_session = make_session

    def session(self, channel: Channel) -> ISession:
        """Return what serves a channel."""
        connection = self.conn.transport.connection
        if connection is None:
            message = "nobody is logged in"
            raise ConchError(message)
        return self._make_session(self.grant.role, connection, channel.is_congested)


class _Portal:
    """What conch asks about logins, as it would ask :class:`twisted.cred.portal.Portal`.

    That one knows who has logged in by a name alone; here it is a grant, which can be revoked.
    """

    def __init__(self, access: Access, make_session: SessionMaker) -> None:
        self._access = access
        self._make_session = make_session

    def listCredentialsInterfaces(self) -> list[type[Interface]]:
        """Return what can be logged in with now."""
        methods = self._access.methods
        return [one for one, method in _CREDENTIALS.items() if method in methods]

    def login(
        self, credentials: Proof, mind: object, *interfaces: type[Interface]
    ) -> Deferred[Admission]:
        """Return a Deferred of an avatar; it fails as the checks of :class:`Access` do."""
        return Deferred.fromCoroutine(self._login(credentials))

    async def _login(self, credentials: Proof) -> Admission:
        if isinstance(credentials, SSHPrivateKey):
            grant = self._access.by_key(credentials)
        else:
            grant = await self._access.by_password(credentials.username, credentials.password)
        return IConchUser, Avatar(grant, self._make_session), lambda: None
