"""Lets people in, or does not: the judges of passwords and of public keys.

Every refusal takes as long for a user who does not exist as for one who does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey, IUsernamePassword, SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, execute
from twisted.internet.threads import deferToThreadPool
from zope.interface import Interface, implementer

from sockd.admin.passwords import PasswordTable
from sockd.reactor import IReactor

_USER_PRESENT = 0x01

SIGNATURES = (
    b"ssh-ed25519",
    b"sk-ssh-ed25519@openssh.com",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
    b"rsa-sha2-512",
    b"rsa-sha2-256",
)
"""The signatures that are taken: those of OpenSSH, and so none that rests on SHA-1."""

AvatarId = bytes | tuple[()]
"""What twisted.cred calls a user: a name, or an empty tuple for nobody in particular."""


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Judges passwords, in a thread: bcrypt is slow on purpose.

    :param hashes: bcrypt hashes by user name.
    """

    credentialInterfaces: Sequence[type[Interface]] = (IUsernamePassword,)

    def __init__(self, reactor: IReactor, hashes: Mapping[str, bytes]) -> None:
        self._reactor = reactor
        self._table = PasswordTable({user.encode(): known for user, known in hashes.items()})

    def requestAvatarId(self, credentials: IUsernamePassword) -> Deferred[AvatarId]:
        """Return a Deferred of the user's name, or of :class:`UnauthorizedLogin`."""
        return Deferred.fromCoroutine(self._judge(credentials.username, credentials.password))

    async def _judge(self, user: bytes, password: bytes) -> AvatarId:
        pool, verify = self._reactor.getThreadPool(), self._table.verify
        if not await deferToThreadPool(self._reactor, pool, verify, user, password):
            message = "wrong user or password"
            raise UnauthorizedLogin(message)
        return user


@implementer(ICredentialsChecker)
class KeyChecker:
    """Judges public keys.

    :param keys: the keys of each user by name.
    """

    credentialInterfaces: Sequence[type[Interface]] = (ISSHPrivateKey,)

    def __init__(self, keys: Mapping[str, Sequence[Key]]) -> None:
        self._keys = {
            user.encode("utf-8"): {key.blob() for key in owned} for user, owned in keys.items()
        }

    def requestAvatarId(self, credentials: SSHPrivateKey) -> Deferred[AvatarId]:
        """Return a Deferred of the user's name, or of :class:`UnauthorizedLogin`.

        A key that may come in but has not signed yet is a :class:`ValidPublicKey`.
        """
        return execute(self._judge, credentials)

    def _judge(self, credentials: SSHPrivateKey) -> AvatarId:
        if credentials.blob not in self._keys.get(credentials.username, ()):
            message = "unknown user or key"
            raise UnauthorizedLogin(message)
        if not credentials.signature:
            raise ValidPublicKey
        if not _has_signed(Key.fromString(credentials.blob), credentials):
            message = "wrong signature"
            raise UnauthorizedLogin(message)
        return bytes(credentials.username)


def _has_signed(key: Key, credentials: SSHPrivateKey) -> bool:
    """Return whether a signature is the key's, and its owner was there to touch it if it can tell.

    See PROTOCOL.u2f of OpenSSH for the flags that follow the signature of a security key.
    """
    try:
        if getNS(credentials.signature)[0] not in SIGNATURES:
            return False
        if key.isSecurityKey() and not getNS(credentials.signature, 2)[2][0] & _USER_PRESENT:
            return False
        return bool(key.verify(credentials.signature, credentials.sigData))
    except Exception:  # what a client sends may be anything, and then so is what it raises
        return False
