"""Passwords and keys are checked against what is in force, and nothing else logs in."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import bcrypt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd.admin.auth.access import Access
from sockd.admin.auth.grants import KEY as BY_KEY
from sockd.admin.auth.grants import PASSWORD, Grant
from sockd.admin.auth.roles import Role
from sockd.reactor import IReactor

pytestmark = pytest.mark.dependencies

MESSAGE = b"what the client signs"
KEY = Key(ed25519.Ed25519PrivateKey.generate())
TOUCHED, UNTOUCHED = b"\x01", b"\x00"


def verdict(access: Access, key: Key, signature: bytes | None, user: bytes = b"admin") -> object:
    credentials = SSHPrivateKey(user, key.sshType(), key.public().blob(), MESSAGE, signature)
    try:
        return access.by_key(credentials).user
    except (UnauthorizedLogin, ValidPublicKey) as refusal:
        return type(refusal)


def access_by(key: Key) -> Access:
    grant = Grant(b"admin", BY_KEY, key.public().blob(), Role.ADMIN)
    return Access(cast("IReactor", Pool()), [grant])


class Pool:
    """A reactor whose thread runs what it is given when the test says so.

    :ivar waiting: what it was given.
    """

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def getThreadPool(self) -> Pool:
        """Return itself."""
        return self

    def callInThreadWithCallback(
        self,
        report: Callable[[bool, object], None],
        work: Callable[..., object],
        *arguments: object,
    ) -> None:
        """Leave the work until :meth:`run`."""
        self.waiting.append(lambda: report(True, work(*arguments)))

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        """Call it."""
        call(*arguments)

    def run(self) -> None:
        """Do all the work."""
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one()


class Lab:
    """Passwords of an admin and a viewer, whose hashes cost little."""

    def __init__(self) -> None:
        self.pool = Pool()
        self.admin = self.grant(b"admin", b"geheim")
        self.viewer = self.grant(b"mary", b"geheim", Role.VIEWER)
        self.access = Access(cast("IReactor", self.pool), [self.admin, self.viewer])

    def grant(self, user: bytes, password: bytes, role: Role = Role.ADMIN) -> Grant:
        """Return a new grant, with a hash of its own."""
        return Grant(user, PASSWORD, bcrypt.hashpw(password, bcrypt.gensalt(4)), role)

    def attempt(self, user: bytes, password: bytes = b"geheim") -> list[object]:
        """Return what will hold the verdict."""
        verdicts: list[object] = []
        attempt = Deferred.fromCoroutine(self.access.by_password(user, password))
        attempt.addBoth(verdicts.append)
        return verdicts


def is_refusal(verdict: object) -> bool:
    return isinstance(verdict, Failure) and verdict.check(UnauthorizedLogin) is not None


def test_a_password_grants_what_its_user_may_do() -> None:
    lab = Lab()
    verdicts = [lab.attempt(b"admin"), lab.attempt(b"mary")]
    assert verdicts == [[], []]
    lab.pool.run()
    assert verdicts == [[lab.admin], [lab.viewer]]
    assert lab.access.methods == {PASSWORD}


@pytest.mark.parametrize("user", [b"admin", b"mary", b"unknown"])
def test_who_has_no_password_waits_for_the_verdict_like_who_has_one(user: bytes) -> None:
    lab = Lab()
    verdict = lab.attempt(user, b"wrong")
    assert (verdict, len(lab.pool.waiting)) == ([], 1)
    lab.pool.run()
    assert is_refusal(verdict[0])


@pytest.mark.parametrize("change", ["gone", "password", "role", "none"])
def test_a_password_that_is_judged_while_the_credentials_change_logs_in_by_the_new_ones(
    change: str,
) -> None:
    lab = Lab()
    verdict = lab.attempt(b"admin")
    grants = {
        "gone": [],
        "password": [lab.grant(b"admin", b"geheim")],
        "role": [Grant(b"admin", PASSWORD, lab.admin.evidence, Role.VIEWER)],
        "none": [lab.admin],
    }
    lab.access.change(grants[change])
    lab.pool.run()
    assert is_refusal(verdict[0]) == (change != "none")


def test_a_grant_in_a_message_tells_no_hash() -> None:
    grant = Lab().admin
    assert grant.evidence.decode() not in repr(grant)


def test_a_key_that_was_asked_for_and_then_revoked_does_not_log_in() -> None:
    access = access_by(KEY)
    assert verdict(access, KEY, None) is ValidPublicKey
    access.change([])
    assert verdict(access, KEY, KEY.sign(MESSAGE)) is UnauthorizedLogin
    assert access.methods == frozenset()


def test_a_known_key_may_sign_and_then_come_in() -> None:
    access = access_by(KEY)
    assert verdict(access, KEY, None) is ValidPublicKey
    assert verdict(access, KEY, KEY.sign(MESSAGE)) == b"admin"


def test_a_key_of_somebody_else_or_for_somebody_else_may_not() -> None:
    access = access_by(KEY)
    other = Key(ed25519.Ed25519PrivateKey.generate())
    assert verdict(access, other, None) is UnauthorizedLogin
    assert verdict(access, other, other.sign(MESSAGE)) is UnauthorizedLogin
    assert verdict(access, KEY, KEY.sign(MESSAGE), b"root") is UnauthorizedLogin


@pytest.mark.parametrize(
    "signature",
    [b"x", b"\xff\xff\xff\xff", NS(b"ssh-ed25519"), KEY.sign(b"something else")],
    ids=["short", "endless", "empty", "other"],
)
def test_a_wrong_signature_does_not_open(signature: bytes) -> None:
    assert verdict(access_by(KEY), KEY, signature) is UnauthorizedLogin


def test_a_signature_that_rests_on_sha1_does_not_open() -> None:
    key = Key(rsa.generate_private_key(65537, 2048))
    access = access_by(key)
    assert verdict(access, key, key.sign(MESSAGE, b"rsa-sha2-256")) == b"admin"
    assert verdict(access, key, key.sign(MESSAGE, b"ssh-rsa")) is UnauthorizedLogin


def test_a_security_key_must_have_been_touched() -> None:
    sort = b"sk-ssh-ed25519@openssh.com"
    public = KEY.public().blob()[-32:]
    key = Key.fromString(NS(sort) + NS(public) + NS(b"ssh:"), "BLOB")
    access = access_by(key)
    raw = KEY.sign(MESSAGE)[-64:]
    signature = NS(sort) + NS(raw)
    assert verdict(access, key, signature + TOUCHED + b"\0\0\0\1") == b"admin"
    assert verdict(access, key, signature + UNTOUCHED + b"\0\0\0\1") is UnauthorizedLogin
    assert verdict(access, key, signature) is UnauthorizedLogin
