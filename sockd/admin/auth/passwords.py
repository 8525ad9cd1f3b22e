"""Passwords: generating, reading, hashing with bcrypt and verifying.

bcrypt takes a large fraction of a second on purpose. With a running reactor, verify in a thread.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable, Mapping
from getpass import getpass
from typing import TextIO

import bcrypt

from sockd.errors import InvalidValue

MAX_PASSWORD = 72
"""The number of bytes of a password that bcrypt uses; longer passwords are refused."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS = 4
_GROUP_LENGTH = 5
_HASH = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}([./A-Za-z0-9])[./A-Za-z0-9]{31}")
_SALT_ENDS = b".Oeu"
"""The valid 22nd characters of a salt: only two of the six bits belong to the salt."""

_COSTS = range(4, 18)
_DEFAULT_COST = b"12"
_HTPASSWD = "make the line with `htpasswd -B`"


def random_password() -> str:
    """Generate a password of 100 random bits, without characters that look alike."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)
    )
    return "-".join(groups)


def hashed(password: str) -> str:
    """Return the bcrypt hash of a password.

    :raise InvalidValue: if the password is empty, too long, or contains a zero byte.
    """
    data = password.encode("utf-8", "surrogateescape")
    if not data:
        message = "the password is empty"
        raise InvalidValue(message, f"1 to {MAX_PASSWORD} bytes")
    if len(data) > MAX_PASSWORD:
        message = f"the password is {len(data)} bytes long, and bcrypt uses only {MAX_PASSWORD}"
        raise InvalidValue(message, f"1 to {MAX_PASSWORD} bytes")
    if b"\0" in data:
        message = "the password contains a zero byte"
        raise InvalidValue(message, f"1 to {MAX_PASSWORD} bytes of text")
    return bcrypt.hashpw(data, bcrypt.gensalt()).decode("ascii")


def checked_hash(text: bytes) -> bytes:
    """Check a bcrypt hash, and that it can be verified in reasonable time.

    :raise InvalidValue: if it is invalid.
    """
    match = _HASH.fullmatch(text)
    if match is None:
        message = "the hash is not a bcrypt hash"
        raise InvalidValue(message, _HTPASSWD)
    if int(match[1]) not in _COSTS:
        message = f"the hash has cost {int(match[1])}"
        raise InvalidValue(message, f"{_HTPASSWD}, and -C {_COSTS[0]} to {_COSTS[-1]}")
    if match[2] not in _SALT_ENDS:
        message = "the hash is damaged: bcrypt does not accept its salt"
        raise InvalidValue(message, _HTPASSWD)
    return text


class PasswordTable:
    """bcrypt hashes by user name. Refusing a password takes the same time for every user name.

    The time of a check depends on the cost of the hash. So each attempt is checked against one hash
    of each cost in use, including the user's own hash if there is one: the same number of bcrypt
    calls, with the same costs, in the same order.

    :param hashes: hashes that :func:`checked_hash` accepts.
    :param check: returns whether a password matches a hash.
    """

    def __init__(
        self,
        hashes: Mapping[bytes, bytes],
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._hashes = dict(hashes)
        self._check = check
        costs = sorted({_cost(known) for known in self._hashes.values()}) or [_DEFAULT_COST]
        self._decoys = {cost: b"$2b$" + cost + b"$" + b"." * 53 for cost in costs}

    def verify(self, user: bytes, password: bytes) -> bool:
        """Return whether a password is correct. An empty or too long one never is."""
        own = self._hashes.get(user)
        is_possible = 0 < len(password) <= MAX_PASSWORD and b"\0" not in password
        data = password if is_possible else b"-"
        candidates = self._decoys if own is None else self._decoys | {_cost(own): own}
        matching = [known for known in candidates.values() if self._check(data, known)]
        return is_possible and own in matching


def _cost(known: bytes) -> bytes:
    return known[4:6]


def read_and_hash(stdin: TextIO | None = None, ask: Callable[[str], str] = getpass) -> str:
    """Read a password from the terminal without echo, or from a line of input; return its hash.

    :raise SystemExit: with an error message of one line if the password is invalid.
    """
    source = sys.stdin if stdin is None else stdin
    try:
        password = ask("Password: ") if source.isatty() else source.readline().rstrip("\r\n")
        return hashed(password)
    except InvalidValue as invalid:
        message = f"--hash-password: {invalid.message} ({invalid.hint})"
    except (EOFError, KeyboardInterrupt, UnicodeDecodeError):
        message = "--hash-password: no password was read (one line of UTF-8)"
    raise SystemExit(message)
