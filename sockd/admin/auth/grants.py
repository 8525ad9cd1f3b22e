"""The ways to log in to the admin shell, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from sockd.admin.auth.roles import Role

PASSWORD = "password"  # noqa: S105 - the name that RFC 4252 has for the method
KEY = "publickey"


@dataclass(frozen=True, slots=True)
class Grant:
    """One credential, and the user and the role that it logs in as.

    A session holds the grant that it began with. When the credentials change, it may go on if and
    only if that very grant is still among them.

    :ivar user: the user name in UTF-8, as it comes from the client.
    :ivar method: :data:`PASSWORD` or :data:`KEY`.
    :ivar evidence: the bcrypt hash of the password, or the blob of the public key.
    """

    user: bytes
    method: str
    evidence: bytes = field(repr=False)
    role: Role
