"""Checks of passwords and public keys against the current credentials.

Refusing a password takes the same time for existing and for unknown users.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.threads import deferToThreadPool

from sockd.admin.auth.grants import KEY, PASSWORD, Grant
from sockd.admin.auth.passwords import PasswordTable
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
"""The accepted signature algorithms: those of OpenSSH, which exclude SHA-1."""


class Access:
    """The current grants. A reload replaces them."""

    def __init__(self, reactor: IReactor, grants: Iterable[Grant] = ()) -> None:
        self._reactor = reactor
        self.change(grants)

    def change(self, grants: Iterable[Grant]) -> None:
        """Replace the grants."""
        self._grants = frozenset(grants)
        of_passwords = [grant for grant in self._grants if grant.method == PASSWORD]
        self._passwords = {grant.user: grant for grant in of_passwords}
        self._table = PasswordTable({grant.user: grant.evidence for grant in of_passwords})
        self._keys = {
            (grant.user, grant.evidence): grant for grant in self._grants if grant.method == KEY
        }

    @property
    def methods(self) -> frozenset[str]:
        """The methods that have at least one grant."""
        return frozenset(grant.method for grant in self._grants)

    def holds(self, grant: Grant) -> bool:
        """Return whether a grant is still valid."""
        return grant in self._grants

    async def by_password(self, user: bytes, password: bytes) -> Grant:
        """Return the grant of a password. bcrypt is slow on purpose, so it runs in a thread.

        A grant that was removed in the meantime is refused.

        :raise UnauthorizedLogin: if the user or the password is wrong.
        """
        grant, verify = self._passwords.get(user), self._table.verify
        pool = self._reactor.getThreadPool()
        is_correct = await deferToThreadPool(self._reactor, pool, verify, user, password)
        if not is_correct or grant is None or not self.holds(grant):
            message = "wrong user or password"
            raise UnauthorizedLogin(message)
        return grant

    def by_key(self, credentials: SSHPrivateKey) -> Grant:
        """Return the grant of a public key, if the signature is correct.

        :raise UnauthorizedLogin: if the key is unknown, or the signature is wrong.
        :raise ValidPublicKey: if the key is known, and the client has not signed yet.
        """
        grant = self._keys.get((credentials.username, credentials.blob))
        if grant is None:
            message = "unknown user or key"
            raise UnauthorizedLogin(message)
        if not credentials.signature:
            raise ValidPublicKey
        if not _has_signed(Key.fromString(credentials.blob), credentials):
            message = "wrong signature"
            raise UnauthorizedLogin(message)
        return grant


def _has_signed(key: Key, credentials: SSHPrivateKey) -> bool:
    """Return whether a signature is valid; a security key must also report user presence.

    The flags that follow the signature of a security key are in OpenSSH's PROTOCOL.u2f.
    """
    try:
        if getNS(credentials.signature)[0] not in SIGNATURES:
            return False
        if key.isSecurityKey() and not getNS(credentials.signature, 2)[2][0] & _USER_PRESENT:
            return False
        return bool(key.verify(credentials.signature, credentials.sigData))
    except Exception:  # parsing malformed input may raise anything
        return False
