"""Credentials of the admin shell as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from sockd.admin.auth.roles import Role

PASSWORD = "password"  # noqa: S105 - the name of the method in RFC 4252
KEY = "publickey"


@dataclass(frozen=True, slots=True)
class Grant:
    """A credential with its user and role.

    A session keeps the grant of its login. When the credentials change, the session continues only
    if they still contain an equal grant.

    :ivar user: the user name in UTF-8, as the client sends it.
    :ivar method: :data:`PASSWORD` or :data:`KEY`.
    :ivar evidence: the bcrypt hash of the password, or the blob of the public key.
    """

    user: bytes
    method: str
    evidence: bytes = field(repr=False)
    role: Role
