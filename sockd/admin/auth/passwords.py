"""Passwords: how they are made, read from a person, hashed with bcrypt and verified.

bcrypt takes a good fraction of a second on purpose: on a running reactor, verify in a thread.
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
"""How many bytes of a password bcrypt looks at; longer ones are refused."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS = 4
_GROUP_LENGTH = 5
_HASH = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}([./A-Za-z0-9])[./A-Za-z0-9]{31}")
_SALT_ENDS = b".Oeu"
"""The characters that the 22nd of a salt can be: only two of its six bits belong to the salt."""

_COSTS = range(4, 18)
_DEFAULT_COST = b"12"
_HTPASSWD = "make the line with `htpasswd -B`"


def random_password() -> str:
    """Return a new password of 100 random bits, without letters that look alike."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)
    )
    return "-".join(groups)


def hashed(password: str) -> str:
    """Return the bcrypt hash of a password.

    :raise InvalidValue: if the password is empty, or longer than bcrypt looks at.
    """
    data = password.encode("utf-8", "surrogateescape")
    if not data:
        message = "the password is empty"
        raise InvalidValue(message, f"1 to {MAX_PASSWORD} bytes")
    if len(data) > MAX_PASSWORD:
        message = f"the password is {len(data)} bytes long, and bcrypt looks at {MAX_PASSWORD}"
        raise InvalidValue(message, f"1 to {MAX_PASSWORD} bytes")
    if b"\0" in data:
        message = "the password holds a zero byte"
        raise InvalidValue(message, f"1 to {MAX_PASSWORD} bytes of text")
    return bcrypt.hashpw(data, bcrypt.gensalt()).decode("ascii")


def checked_hash(text: bytes) -> bytes:
    """Return a bcrypt hash if it is one that can be verified in reasonable time.

    :raise InvalidValue: if it is not.
    """
    match = _HASH.fullmatch(text)
    if match is None:
        message = "the hash is not bcrypt's"
        raise InvalidValue(message, _HTPASSWD)
    if int(match[1]) not in _COSTS:
        message = f"the hash has cost {int(match[1])}"
        raise InvalidValue(message, f"{_HTPASSWD}, and -C {_COSTS[0]} to {_COSTS[-1]}")
    if match[2] not in _SALT_ENDS:
        message = "the hash is damaged: bcrypt does not accept its salt"
        raise InvalidValue(message, _HTPASSWD)
    return text


class PasswordTable:
    """bcrypt hashes by user name; to refuse a password takes the same work for every user name.

    The cost of a hash shows in the time that it takes. So each attempt is checked against one hash
    of each cost in use, the user's own hash among them if there is one: the same number of
    calls of bcrypt, of the same costs, in the same order.

    :param hashes: hashes that :func:`checked_hash` accepts.
    :param check: returns whether a password belongs to a hash.
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
        """Return whether a password is the user's; an empty or overlong one never is."""
        own = self._hashes.get(user)
        is_possible = 0 < len(password) <= MAX_PASSWORD and b"\0" not in password
        data = password if is_possible else b"-"
        candidates = self._decoys if own is None else self._decoys | {_cost(own): own}
        matching = [known for known in candidates.values() if self._check(data, known)]
        return is_possible and own in matching


def _cost(known: bytes) -> bytes:
    return known[4:6]


def read_and_hash(stdin: TextIO | None = None, ask: Callable[[str], str] = getpass) -> str:
    """Read a password, unseen on a terminal, else one line of input; return its hash.

    :raise SystemExit: with one line that says why the password will not do.
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
