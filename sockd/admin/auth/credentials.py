"""The parser of ``authorized_keys`` and htpasswd files.

The files are read before the daemon starts, and again at a reload. A line that sockd does not
support is an error and is never skipped, as it could contain a restriction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from twisted.conch.ssh.keys import EncryptedKeyError, Key

from sockd.admin.auth.grants import KEY, PASSWORD, Grant
from sockd.admin.auth.passwords import checked_hash
from sockd.admin.auth.roles import VIEWER, Role
from sockd.config.specs import AdminSpec
from sockd.errors import ConfigurationError, InvalidValue, Problem, SourceLocation
from sockd.support.files import content, shown
from sockd.support.text import printable, quoted

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
"""The accepted options of sshd(8). They have no effect: the admin shell has none of the features
that they restrict or allow, except for terminals.
"""

_KEY_LINE = re.compile(
    r"""(?: (?P<options> (?: "(?:\\.|[^"\\])*" | [^\s"] )+ ) [ \t]+ )??
        (?P<type> (?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+ ) [ \t]+ (?P<blob> [A-Za-z0-9+/]+=* )
        (?: [ \t] .* )?""",
    re.VERBOSE,
)
_PKCS8_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_ONE_LINE_PER_KEY = "one public key a line, as in ~/.ssh/id_ed25519.pub"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of both roles. No user name or key has both.

    :ivar user: the user name of the keys.
    :ivar hashes: bcrypt hashes by user name, in the order of the file.
    :ivar viewer_keys: the keys of the user :data:`sockd.admin.auth.roles.VIEWER`.
    :ivar viewer_hashes: bcrypt hashes of viewers by user name.
    """

    user: str
    keys: tuple[Key, ...] = ()
    hashes: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    viewer_keys: tuple[Key, ...] = ()
    viewer_hashes: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def somebody(self) -> str:
        """An admin who can log in: the user of the keys, or the first one with a password."""
        can_log_in = bool(self.keys) or self.user in self.hashes
        return self.user if can_log_in else next(iter(self.hashes), self.user)

    @property
    def grants(self) -> frozenset[Grant]:
        """All credentials as grants."""
        return frozenset(
            (
                *_grants(Role.ADMIN, self.user, self.keys, self.hashes),
                *_grants(Role.VIEWER, VIEWER, self.viewer_keys, self.viewer_hashes),
            )
        )

    @property
    def admins(self) -> frozenset[str]:
        """The user names of admins; no viewer can have one of them."""
        return frozenset((self.user, *self.hashes))


def _grants(
    role: Role, owner: str, keys: Iterable[Key], hashes: Mapping[str, bytes]
) -> Iterator[Grant]:
    for key in keys:
        yield Grant(owner.encode(), KEY, key.blob(), role)
    for user, known in hashes.items():
        yield Grant(user.encode(), PASSWORD, known, role)


def check(spec: AdminSpec) -> list[Problem]:
    """Return the problems of the files that the section names."""
    return [*_problems(given_host_key, spec), *check_logins(spec)]


def check_logins(spec: AdminSpec) -> list[Problem]:
    """Return the problems of the key and password files, which a reload reads again."""
    problems = [*_problems(load_credentials, spec)]
    if spec.telnet and not _has_passwords(spec):
        message = "nobody can log in over telnet, which requires a password"
        problems.append(Problem(spec.locations["telnet"], message, "add passwd, or remove telnet"))
    return problems


def _problems(read: Callable[[AdminSpec], object], spec: AdminSpec) -> tuple[Problem, ...]:
    try:
        read(spec)
    except ConfigurationError as error:
        return error.problems
    return ()


def load_credentials(spec: AdminSpec) -> Credentials:
    """Read the credentials from the section's files.

    :raise ConfigurationError: with every invalid line.
    """
    problems: list[Problem] = []
    keys: tuple[Key, ...] = ()
    hashes: dict[str, bytes] = {}
    if spec.authorized_keys is not None:
        location = spec.locations["authorized_keys"]
        found = _read_entries(spec.authorized_keys, location, _authorized_key, problems)
        keys = tuple(key for _, key in found)
    if spec.passwd is not None:
        pairs = _read_entries(spec.passwd, spec.locations["passwd"], _password_line, problems)
        for _, (user, hashed) in pairs:
            hashes.setdefault(user, hashed)
    admins = Credentials(spec.user, keys, MappingProxyType(hashes))
    known = _with_viewers(admins, spec, problems)
    if problems:
        raise ConfigurationError(problems)
    return known


def _has_passwords(spec: AdminSpec) -> bool:
    """Return whether there is a password, as far as the files can be read."""
    if spec.passwd is not None or spec.authorized_keys is None:
        return True  # without either option, a password is generated
    try:
        return bool(load_credentials(spec).viewer_hashes)
    except ConfigurationError:
        return bool(spec.viewers)


def _with_viewers(admins: Credentials, spec: AdminSpec, problems: list[Problem]) -> Credentials:
    """Add the credentials of the viewers' files."""
    keys: list[Key] = []
    hashes: dict[str, bytes] = {}
    for path in spec.viewers:
        for location, entry in _read_entries(path, spec.locations["viewers"], _viewer, problems):
            try:
                _check_is_no_admin(entry, admins)
            except InvalidValue as invalid:
                problems.append(invalid.at(location))
            if isinstance(entry, Key):
                keys.append(entry)
            else:
                hashes.setdefault(*entry)
    return replace(admins, viewer_keys=tuple(keys), viewer_hashes=MappingProxyType(hashes))


def _check_is_no_admin(entry: Key | tuple[str, bytes], admins: Credentials) -> None:
    """Check that a viewer's key or user name is not an admin's too.

    :raise InvalidValue: if it is.
    """
    hint = "use separate ones for each role"
    if isinstance(entry, Key) and entry.blob() in {key.blob() for key in admins.keys}:
        message = "the viewer's key is also in authorized_keys"
        raise InvalidValue(message, hint)
    name = VIEWER if isinstance(entry, Key) else entry[0]
    if name in admins.admins:
        message = f"the viewer {quoted(name)} is also an admin, by user or passwd"
        raise InvalidValue(message, hint)


def given_host_key(spec: AdminSpec) -> Key | None:
    """Return the host key of the section, or ``None`` if it is not set.

    :raise ConfigurationError: if the file is invalid.
    """
    if spec.host_key is None:
        return None
    try:
        return private_key(content(spec.host_key), f" in {shown(spec.host_key)}")
    except InvalidValue as invalid:
        raise ConfigurationError([invalid.at(spec.locations["host_key"])]) from None


def private_key(data: bytes, where: str = "") -> Key:
    """Parse a private key in one of OpenSSH's formats.

    :param where: the file, for error messages.
    :raise InvalidValue: if it is not a private key, or has a passphrase.
    """
    hint = "a private key of OpenSSH without a passphrase, from `ssh-keygen -t ed25519`"
    try:
        key: Key = Key.fromString(data)
    except Exception as error:  # the parser may raise anything
        is_locked = isinstance(error, EncryptedKeyError) or _PKCS8_ENCRYPTED in data
        how = "has a passphrase" if is_locked else "is not a private key"
        message = f"the host key{where} {how}"
        raise InvalidValue(message, hint) from error
    if key.isPublic():
        message = f"the host key{where} is a public key"
        raise InvalidValue(message, hint)
    return key


def _read_entries(
    path: Path, location: SourceLocation, parse: Callable[[str], T], problems: list[Problem]
) -> list[tuple[SourceLocation, T]]:
    """Parse the lines of a file. A file without entries is a problem."""
    entries: list[tuple[SourceLocation, T]] = []
    count = len(problems)
    try:
        for number, line in _entry_lines(content(path)):
            here = SourceLocation(printable(str(path)), number)
            try:
                entries.append((here, parse(line)))
            except InvalidValue as invalid:
                problems.append(invalid.at(here))
    except InvalidValue as invalid:
        problems.append(invalid.at(location))
    if not entries and len(problems) == count:
        message = f"{quoted(str(path))} has no entries"
        problems.append(Problem(location, message, "add one, or remove the option"))
    return entries


def _entry_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Return the lines that are not empty or comments, with their numbers."""
    for number, line in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _authorized_key(line: str) -> Key:
    match = _KEY_LINE.fullmatch(line)
    if match is None:
        message = "the line is not a public key"
        raise InvalidValue(message, _ONE_LINE_PER_KEY)
    for option in _key_options(match["options"] or ""):
        if option.lower() not in _GRANTED:
            name = option.partition("=")[0]
            message = f"the option {quoted(name)} is not supported by the admin shell"
            raise InvalidValue(
                message, "remove the option if the key may be used without it, otherwise the line"
            )
    try:
        key: Key = Key.fromString(f"{match['type']} {match['blob']}".encode(), "PUBLIC_OPENSSH")
        is_sound = key.sshType().decode() == match["type"]
    except Exception:  # the parser may raise anything
        is_sound = False
    if not is_sound:
        message = f"the {match['type']} key is damaged, or of a sort that is not a valid value"
        raise InvalidValue(message, _ONE_LINE_PER_KEY)
    return key


def _viewer(line: str) -> Key | tuple[str, bytes]:
    """Parse a line that is a key or a password; the pattern of a key is unambiguous."""
    if _KEY_LINE.fullmatch(line) is not None:
        return _authorized_key(line)
    if ":" in line:
        return _password_line(line)
    message = "the line is neither a public key nor USER:HASH"
    raise InvalidValue(message, f"{_ONE_LINE_PER_KEY}, or a line of `htpasswd -B`")


def _key_options(text: str) -> Iterator[str]:
    """Split the options before a key at commas that are not quoted."""
    return (found[0] for found in re.finditer(r'(?:"(?:\\.|[^"\\])*"|[^",])+', text))


def _password_line(line: str) -> tuple[str, bytes]:
    user, colon, text = line.partition(":")
    if not colon or not user:
        message = "the line is not USER:HASH"
        raise InvalidValue(message, "make the line with `htpasswd -B`")
    try:
        return user, checked_hash(text.encode())
    except InvalidValue as invalid:
        message = f"user {quoted(user)}: {invalid.message}"
        raise InvalidValue(message, invalid.hint) from None
