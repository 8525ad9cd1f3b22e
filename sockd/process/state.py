"""The state directory: what sockd makes once and keeps, such as its host key.

It comes into being when the first thing is kept, with mode 0700. Files are 0600 and appear whole
or not at all.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from sockd.errors import ConfigurationError, InvalidValue, Problem, SourceLocation
from sockd.support.files import read_regular, reason
from sockd.support.text import printable

HOST_KEY = "ssh_host_ed25519_key"
"""The private key that the admin shell shows to its clients."""

PASSWORD = "admin.htpasswd"  # noqa: S105 - the name of the file
"""The hash of the password that was made at the first start."""

FIRST_PASSWORD = "first-password"  # noqa: S105 - the name of the file
"""The password itself, where there was no terminal to show it on, until the first login."""

CAPTURES = "captures"
"""The directory of captures, unless the configuration says another."""

_OURS = frozenset({HOST_KEY, PASSWORD, FIRST_PASSWORD, CAPTURES})
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_OTHERS = 0o077
_LARGEST_FILE = 64 * 1024
_MAKE = "an existing directory that this user may write to; [sockd] state names one"


def default_path(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Return where state is kept unless the configuration says it.

    That is the first of ``$STATE_DIRECTORY`` (systemd.exec(5)), else what the system has for a
    user's state: ``$XDG_STATE_HOME`` or ``~/.local/state``, and a folder ``sockd`` in it.
    """
    given = environment.get("STATE_DIRECTORY", "").split(":" if platform != "win32" else ";")[0]
    if given:
        return Path(given)
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "sockd"
    if platform == "darwin":
        return Path.home() / "Library/Application Support/sockd"
    home = environment.get("XDG_STATE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local/state") / "sockd"


class StateDirectory:
    """A directory that only its owner can look into.

    :param path: where; ``None``: :func:`default_path`.
    :param location: where the problems point in the configuration; else they point at the
        directory.
    :param owner: the user and group that the process becomes later: what root keeps is theirs.
    """

    def __init__(
        self,
        path: Path | None,
        location: SourceLocation | None = None,
        owner: tuple[int, int] | None = None,
    ) -> None:
        self._owner = owner
        self.path = default_path(os.environ) if path is None else path
        self._place = location or SourceLocation(str(self.path), 1)

    def read(self, name: str) -> bytes | None:
        """Return what was kept under a name, ``None`` if nothing was.

        :raise ConfigurationError: if it cannot be read, or others could have written it.
        """
        try:
            if not self.path.exists():
                return None
            self._guard()
            return read_regular(self.path / name, _LARGEST_FILE)
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"{_printable_path(self.path / name)} cannot be read: {reason(error)}"
            raise self.error(message, "it must belong to the user that sockd runs as") from None

    def keep(self, name: str, data: bytes) -> bytes:
        """Keep something, and return what is kept: another process may have been first.

        :raise ConfigurationError: if it cannot be written, or the directory is not private.
        """
        try:
            self.path.mkdir(_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            self._guard()
            self._hand_over()
            _write_once(self.path / name, data, self._owner)
            return read_regular(self.path / name, _LARGEST_FILE)
        except OSError as error:
            message = f"{_printable_path(self.path / name)} cannot be written: {reason(error)}"
            raise self.error(message, _MAKE) from None

    def discard(self, name: str) -> bool:
        """Remove what was kept under a name, if that can be done; return whether it is gone."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def error(self, message: str, hint: str) -> ConfigurationError:
        """Return what to raise about something in here."""
        return ConfigurationError([Problem(self._place, message, hint)])

    def damaged(self, name: str, invalid: InvalidValue) -> ConfigurationError:
        """Return what to raise about something in here that is not what it should be."""
        message = f"{_printable_path(self.path / name)}: {invalid.message}"
        return self.error(message, "remove it, and a new one is made")

    def _guard(self) -> None:
        """Make sure that nobody else can look into the directory or write to it."""
        status = self.path.stat()
        if not stat.S_ISDIR(status.st_mode):
            message = f"{_printable_path(self.path)} is no directory"
            raise self.error(message, _MAKE)
        if os.name != "posix" or not status.st_mode & _OTHERS:
            return
        if status.st_uid == os.geteuid() and self._holds_only_ours():
            self.path.chmod(_PRIVATE_DIRECTORY)
            return
        mode = f"{status.st_mode & 0o7777:04o}"
        message = f"{_printable_path(self.path)} is open to other users, mode {mode}"
        raise self.error(
            message, f"chmod 700 {_printable_path(self.path)}, or a directory of its own"
        )

    def _hand_over(self) -> None:
        """Give the directory to the user that the process becomes, if it is root's and sockd's.

        A symbolic link, which could lead anywhere, is left alone.
        """
        if self._owner is None or self.path.is_symlink():
            return
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid() and self._holds_only_ours():
                os.fchown(descriptor, *self._owner)
        finally:
            os.close(descriptor)

    def _holds_only_ours(self) -> bool:
        return all(entry.name in _OURS for entry in self.path.iterdir())


def _write_once(path: Path, data: bytes, owner: tuple[int, int] | None) -> None:
    """Write a file unless it exists; it appears with all that is in it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None:
                os.fchown(descriptor, *owner)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _printable_path(path: Path) -> str:
    return printable(str(path))
