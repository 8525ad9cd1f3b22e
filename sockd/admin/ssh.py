"""The admin shell over SSH (RFC 4251 to 4254): the door, the logins, and what may be opened.

There is no forwarding of any kind, no agent and no file transfer.
"""
# mypy: allow-untyped-calls
# Most of conch has no types.

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import pack, unpack_from

from twisted.conch.avatar import ConchUser
from twisted.conch.error import ConchError, IgnoreAuthentication
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import (
    MSG_CHANNEL_OPEN_FAILURE,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    SSHConnection,
)
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import SSHSession
from twisted.conch.ssh.transport import (
    DISCONNECT_BY_APPLICATION,
    DISCONNECT_PROTOCOL_ERROR,
    SSHServerTransport,
)
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import ITCPTransport
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from sockd.admin.checkers import SIGNATURES, AvatarId
from sockd.admin.guests import Guest, Guests

_TRIES = 5
"""How many logins may fail before the one that closes the connection."""

_SESSION = b"session"

SessionMaker = Callable[[], ISession]
Admission = tuple[type[IConchUser], IConchUser, Callable[[], None]]


def _quiet() -> Logger:
    """Return a logger for conch, which tells of every step of every key exchange."""
    warnings = LogLevelFilterPredicate(LogLevel.warn)
    return Logger(observer=FilteringLogObserver(globalLogPublisher, [warnings]))


class SSHDoor(SSHFactory):
    """Receives the SSH clients of one listener.

    :param checkers: the judges; a way to log in that none of them judges is not offered.
    :param make_session: makes what serves one channel.
    """

    noisy = False
    _log = _quiet()

    def __init__(
        self,
        host_key: Key,
        checkers: Sequence[ICredentialsChecker],
        guests: Guests,
        make_session: SessionMaker,
    ) -> None:
        self.protocol = SSHClient
        self.services = {b"ssh-userauth": Login, b"ssh-connection": Channels}
        self.publicKeys = {host_key.sshType(): host_key.public()}
        self.privateKeys = {host_key.sshType(): host_key}
        self.portal = Portal(_Realm(make_session), checkers)
        self.guests = guests

    def logPrefix(self) -> str:
        """Return what Twisted's own log lines call it."""
        return "admin over SSH"


class SSHClient(SSHServerTransport):
    """The connection of one client."""

    factory: SSHDoor
    transport: ITCPTransport
    guest: Guest | None = None
    _log = _quiet()

    def connectionMade(self) -> None:
        """Begin the protocol, unless too many are at the door."""
        self.guest = self.factory.guests.add(self, "ssh", self.transport.getPeer())
        if self.guest is None:
            self.transport.abortConnection()
        else:
            super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Go on with the protocol."""
        if self.guest is not None:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Close what was open."""
        if self.guest is not None:
            super().connectionLost(reason)
            self.guest.gone()

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:
        """Say which signatures a login may have (RFC 8308, 3.1).

        Conch names those of the host key, and clients with another sort of key would not try it.
        """
        named = {**dict(extensions), b"server-sig-algs": b",".join(SIGNATURES)}
        super().sendExtInfo(list(named.items()))

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """Take note that the client says why it goes: the log has its logout anyway."""

    def leave(self) -> None:
        """Tell the client that this is the end."""
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, b"the daemon stops")

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
        self.clock = self.transport.factory.guests.reactor
        self._is_judging = False
        super().serviceStarted()

    def tryAuth(self, kind: bytes, user: bytes, data: bytes) -> Deferred[Admission]:
        """Judge an attempt; a client that does not wait for the verdict must go."""
        if self._is_judging:
            self.transport.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, b"one login at a time")
            return fail(UnauthorizedLogin("one login at a time"))
        self._is_judging = True
        attempt: Deferred[Admission] = maybeDeferred(super().tryAuth, kind, user, data)
        return attempt.addBoth(self._judged, kind, user)

    def _judged(self, result: Admission | Failure, kind: bytes, user: bytes) -> Admission | Failure:
        self._is_judging = False
        guest = self.transport.guest
        if guest is None or guest.is_gone:
            return Failure(UnauthorizedLogin("the client is gone"))
        if not isinstance(result, Failure):
            guest.logged_in(user, kind)
            return result
        if result.check(IgnoreAuthentication):
            return result
        if kind != b"none":
            guest.refused(user, kind)
        if result.check(UnauthorizedLogin, ConchError):
            return result
        return Failure(UnauthorizedLogin(f"malformed: {result.getErrorMessage()}"))


class Channels(SSHConnection):
    """What a client that is logged in may open (RFC 4254): sessions."""

    transport: SSHClient
    _log = _quiet()

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        """Open a session, or refuse whatever else it is."""
        kind, rest = getNS(packet)
        if kind == _SESSION:
            super().ssh_CHANNEL_OPEN(packet)
            return
        (sender,) = unpack_from(">L", rest)
        refusal = pack(">2L", sender, OPEN_ADMINISTRATIVELY_PROHIBITED)
        reason = NS(b"only sessions can be opened") + NS(b"")
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, refusal + reason)


class Avatar(ConchUser):
    """Somebody who is logged in, and may have sessions."""

    def __init__(self, make_session: SessionMaker) -> None:
        super().__init__()
        self.channelLookup[_SESSION] = SSHSession
        self._make_session = make_session

    def __conform__(self, interface: type[Interface]) -> object:
        """Become a session: each channel asks once."""
        return self._make_session() if interface is ISession else None


@implementer(IRealm)
class _Realm:
    """Makes avatars."""

    def __init__(self, make_session: SessionMaker) -> None:
        self._make_session = make_session

    def requestAvatar(
        self, avatarId: AvatarId, mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], Avatar, Callable[[], None]]:
        """Return what a client may do from now on."""
        return IConchUser, Avatar(self._make_session), lambda: None
