"""Checks passwords and public keys against the credentials in force.

A refused password takes as long for a user who does not exist as for one who does.
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
"""The signatures that are taken: those of OpenSSH, and so none that rests on SHA-1."""


class Access:
    """The grants in force; a reload replaces them."""

    def __init__(self, reactor: IReactor, grants: Iterable[Grant] = ()) -> None:
        self._reactor = reactor
        self.change(grants)

    def change(self, grants: Iterable[Grant]) -> None:
        """Accept these grants from now on, and no others."""
        self._grants = frozenset(grants)
        of_passwords = [grant for grant in self._grants if grant.method == PASSWORD]
        self._passwords = {grant.user: grant for grant in of_passwords}
        self._table = PasswordTable({grant.user: grant.evidence for grant in of_passwords})
        self._keys = {
            (grant.user, grant.evidence): grant for grant in self._grants if grant.method == KEY
        }

    @property
    def methods(self) -> frozenset[str]:
        """The methods by which anybody can log in."""
        return frozenset(grant.method for grant in self._grants)

    def holds(self, grant: Grant) -> bool:
        """Return whether a grant is still in force."""
        return grant in self._grants

    async def by_password(self, user: bytes, password: bytes) -> Grant:
        """Return what a password grants; bcrypt runs in a thread, as it is slow on purpose.

        The credentials may change meanwhile: what they do not grant any more is refused.

        :raise UnauthorizedLogin: if the user or the password is wrong.
        """
        grant, verify = self._passwords.get(user), self._table.verify
        pool = self._reactor.getThreadPool()
        is_right = await deferToThreadPool(self._reactor, pool, verify, user, password)
        if not is_right or grant is None or not self.holds(grant):
            message = "wrong user or password"
            raise UnauthorizedLogin(message)
        return grant

    def by_key(self, credentials: SSHPrivateKey) -> Grant:
        """Return what a public key grants, if its owner has signed.

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
