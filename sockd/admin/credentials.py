"""Who may come in: reads ``authorized_keys`` and htpasswd files, and says what is wrong in them.

All of it is read before the daemon starts. A line that sockd cannot honour as it is written is
a problem, never a line that is skipped: a restriction that nobody enforces would be worse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from twisted.conch.ssh.keys import EncryptedKeyError, Key

from sockd.admin.passwords import checked_hash
from sockd.config.specs import AdminSpec
from sockd.errors import ConfigurationError, Place, Problem, Unfit
from sockd.text import printable, quoted

_LARGEST_FILE = 1024 * 1024
_GRANTED = frozenset(
    {
        "agent-forwarding",
        "no-agent-forwarding",
        "no-port-forwarding",
        "no-user-rc",
        "no-x11-forwarding",
        "port-forwarding",
        "pty",
        "user-rc",
        "x11-forwarding",
    }
)
"""Options of sshd(8) that are true of the admin shell already, or only allow what it has not."""

_KEY_LINE = re.compile(
    r"""(?: (?P<options> (?: "(?:\\.|[^"\\])*" | [^\s"] )+ ) [ \t]+ )??
        (?P<type> (?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+ ) [ \t]+ (?P<blob> [A-Za-z0-9+/]+=* )
        (?: [ \t] .* )?""",
    re.VERBOSE,
)
_ONE_LINE_PER_KEY = "one public key a line, as in ~/.ssh/id_ed25519.pub"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens the door.

    :ivar user: whom the keys belong to.
    :ivar hashes: bcrypt hashes by user name.
    """

    user: str
    keys: tuple[Key, ...] = ()
    hashes: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


def check(spec: AdminSpec) -> list[Problem]:
    """Return everything that is wrong with the files that the section names."""
    problems: list[Problem] = []
    for complain in (load, given_host_key):
        try:
            complain(spec)
        except ConfigurationError as error:
            problems += error.problems
    if spec.telnet and spec.authorized_keys is not None and spec.passwd is None:
        wrong = "nobody can log in by telnet, which takes passwords only"
        problems.append(Problem(spec.places["telnet"], wrong, "add passwd, or drop telnet"))
    return problems


def load(spec: AdminSpec) -> Credentials:
    """Return what the section's files hold.

    :raise ConfigurationError: with every line that is wrong.
    """
    problems: list[Problem] = []
    keys: tuple[Key, ...] = ()
    hashes: Mapping[str, bytes] = {}
    if spec.authorized_keys is not None:
        place = spec.places["authorized_keys"]
        keys = tuple(_read(spec.authorized_keys, place, _authorized_key, problems))
    if spec.passwd is not None:
        pairs = _read(spec.passwd, spec.places["passwd"], _password_line, problems)
        hashes = dict(reversed(pairs))
    if problems:
        raise ConfigurationError(problems)
    return Credentials(spec.user, keys, MappingProxyType(hashes))


def given_host_key(spec: AdminSpec) -> Key | None:
    """Return the host key that the section names, ``None`` if it names none.

    :raise ConfigurationError: if there is none in the file.
    """
    if spec.host_key is None:
        return None
    try:
        return private_key(_content(spec.host_key))
    except Unfit as unfit:
        raise ConfigurationError([unfit.at(spec.places["host_key"])]) from None


def private_key(data: bytes) -> Key:
    """Return a private key in one of OpenSSH's formats.

    :raise Unfit: if it is not one, or is locked with a passphrase.
    """
    remedy = "a private key of OpenSSH without a passphrase, from `ssh-keygen -t ed25519`"
    try:
        key: Key = Key.fromString(data)
    except EncryptedKeyError:
        wrong = "the host key is locked with a passphrase"
        raise Unfit(wrong, remedy) from None
    except Exception as error:  # the parser lets out whatever its parts raise
        wrong = "the host key cannot be read as one"
        raise Unfit(wrong, remedy) from error
    if key.isPublic():
        wrong = "the host key is a public one"
        raise Unfit(wrong, remedy)
    return key


def _read(path: Path, place: Place, parse: Callable[[str], T], problems: list[Problem]) -> list[T]:
    """Return what the lines of a file stand for; a file that holds nothing is a problem too."""
    entries: list[T] = []
    count = len(problems)
    try:
        for number, line in _lines(_content(path)):
            try:
                entries.append(parse(line))
            except Unfit as unfit:
                problems.append(unfit.at(Place(printable(str(path)), number)))
    except Unfit as unfit:
        problems.append(unfit.at(place))
    if not entries and len(problems) == count:
        wrong = f"{quoted(str(path))} lets nobody in: it holds no entry"
        problems.append(Problem(place, wrong, "add one, or drop the option"))
    return entries


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        wrong = f"{quoted(str(path))} cannot be read: {printable(reason)}"
        raise Unfit(wrong, "a file that exists, and that this user may read") from None
    if len(data) > _LARGEST_FILE:
        wrong = f"{quoted(str(path))} is longer than {_LARGEST_FILE} bytes"
        raise Unfit(wrong, "another file")
    return data


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Return the lines that are neither empty nor a remark, with their numbers."""
    for number, line in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _authorized_key(line: str) -> Key:
    match = _KEY_LINE.fullmatch(line)
    if match is None:
        wrong = "the line is no public key"
        raise Unfit(wrong, _ONE_LINE_PER_KEY)
    for option in _options(match["options"] or ""):
        if option.lower() not in _GRANTED:
            name = option.partition("=")[0]
            wrong = f"the option {quoted(name)} asks for what the admin shell does not do"
            raise Unfit(wrong, "drop the option if the key may do everything, else the line")
    try:
        key: Key = Key.fromString(f"{match['type']} {match['blob']}".encode(), "PUBLIC_OPENSSH")
        is_sound = key.sshType().decode() == match["type"]
    except Exception:  # the parser lets out whatever its parts raise
        is_sound = False
    if not is_sound:
        wrong = f"the {match['type']} key is damaged, or of a sort that is not known here"
        raise Unfit(wrong, _ONE_LINE_PER_KEY)
    return key


def _options(text: str) -> Iterator[str]:
    """Return the options before a key; commas inside quotation marks do not end one."""
    return (found[0] for found in re.finditer(r'(?:"(?:\\.|[^"\\])*"|[^",])+', text))


def _password_line(line: str) -> tuple[str, bytes]:
    user, colon, text = line.partition(":")
    if not colon or not user:
        wrong = "the line is no USER:HASH"
        raise Unfit(wrong, "make the line with `htpasswd -B`")
    try:
        return user, checked_hash(text.encode())
    except Unfit as unfit:
        wrong = f"user {quoted(user)}: {unfit.wrong}"
        raise Unfit(wrong, unfit.remedy) from None
