"""The judge of keys takes the right user's right key with the right signature, and nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.python.failure import Failure

from sockd.admin.checkers import KeyChecker

MESSAGE = b"what the client signs"
KEY = Key(ed25519.Ed25519PrivateKey.generate())
TOUCHED, UNTOUCHED = b"\x01", b"\x00"


def verdict(
    checker: KeyChecker, key: Key, signature: bytes | None, user: bytes = b"admin"
) -> object:
    credentials = SSHPrivateKey(user, key.sshType(), key.public().blob(), MESSAGE, signature)
    said: list[object] = []
    checker.requestAvatarId(credentials).addBoth(said.append)
    [result] = said
    return result.type if isinstance(result, Failure) else result


def test_a_known_key_may_sign_and_then_come_in() -> None:
    checker = KeyChecker({"admin": [KEY]})
    assert verdict(checker, KEY, None) is ValidPublicKey
    assert verdict(checker, KEY, KEY.sign(MESSAGE)) == b"admin"


def test_a_key_of_somebody_else_or_for_somebody_else_may_not() -> None:
    checker = KeyChecker({"admin": [KEY]})
    other = Key(ed25519.Ed25519PrivateKey.generate())
    assert verdict(checker, other, None) is UnauthorizedLogin
    assert verdict(checker, other, other.sign(MESSAGE)) is UnauthorizedLogin
    assert verdict(checker, KEY, KEY.sign(MESSAGE), b"root") is UnauthorizedLogin


@pytest.mark.parametrize(
    "signature",
    [b"x", b"\xff\xff\xff\xff", NS(b"ssh-ed25519"), KEY.sign(b"something else")],
    ids=["short", "endless", "empty", "other"],
)
def test_a_wrong_signature_does_not_open(signature: bytes) -> None:
    assert verdict(KeyChecker({"admin": [KEY]}), KEY, signature) is UnauthorizedLogin


def test_a_signature_that_rests_on_sha1_does_not_open() -> None:
    key = Key(rsa.generate_private_key(65537, 2048))
    checker = KeyChecker({"admin": [key]})
    assert verdict(checker, key, key.sign(MESSAGE, b"rsa-sha2-256")) == b"admin"
    assert verdict(checker, key, key.sign(MESSAGE, b"ssh-rsa")) is UnauthorizedLogin


def test_a_security_key_must_have_been_touched() -> None:
    sort = b"sk-ssh-ed25519@openssh.com"
    public = KEY.public().blob()[-32:]
    key = Key.fromString(NS(sort) + NS(public) + NS(b"ssh:"), "BLOB")
    checker = KeyChecker({"admin": [key]})
    raw = KEY.sign(MESSAGE)[-64:]
    signature = NS(sort) + NS(raw)
    assert verdict(checker, key, signature + TOUCHED + b"\0\0\0\1") == b"admin"
    assert verdict(checker, key, signature + UNTOUCHED + b"\0\0\0\1") is UnauthorizedLogin
    assert verdict(checker, key, signature) is UnauthorizedLogin
