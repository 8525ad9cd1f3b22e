"""The state directory: files that sockd creates once and keeps, such as its host key.

It is created with mode 0700 when the first file is kept. Files have mode 0600 and are created
atomically.
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
"""The private host key of the admin shell."""

PASSWORD = "admin.htpasswd"  # noqa: S105 - the name of the file
"""The hash of the password that was generated at the first start."""

FIRST_PASSWORD = "first-password"  # noqa: S105 - the name of the file
"""The generated password, if there was no terminal to show it on; kept until the first login."""

CAPTURES = "captures"
"""The default directory of captures."""

_OURS = frozenset({HOST_KEY, PASSWORD, FIRST_PASSWORD, CAPTURES})
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_OTHERS = 0o077
_LARGEST_FILE = 64 * 1024
_MAKE = "an existing directory that this user may write to; [sockd] state names one"


def default_path(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Return the state directory for a configuration that does not set one.

    That is the first of ``$STATE_DIRECTORY`` (systemd.exec(5)), or else a folder ``sockd`` in the
    system's directory for the state of a user: ``$XDG_STATE_HOME`` or ``~/.local/state`` on Linux.
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
    """A directory that only its owner can access.

    :param path: ``None``: :func:`default_path`.
    :param location: the location in the configuration that errors name; by default, errors name the
        directory.
    :param owner: the user and group that the process switches to later; they get the files.
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
        """Return the content of a file; ``None`` if it does not exist.

        :raise ConfigurationError: if it cannot be read, or other users could have written it.
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
        """Create a file unless it exists, and return its content.

        Another process may have created it first.

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
        """Remove a file if possible; return whether it no longer exists."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def error(self, message: str, hint: str) -> ConfigurationError:
        """Return an error about the directory."""
        return ConfigurationError([Problem(self._place, message, hint)])

    def damaged(self, name: str, invalid: InvalidValue) -> ConfigurationError:
        """Return an error about a file whose content is not valid."""
        message = f"{_printable_path(self.path / name)}: {invalid.message}"
        return self.error(message, "remove it, and sockd creates a new one")

    def _guard(self) -> None:
        """Make sure that other users can neither read nor write the directory."""
        status = self.path.stat()
        if not stat.S_ISDIR(status.st_mode):
            message = f"{_printable_path(self.path)} is not a directory"
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
        """Change the owner of the directory, if it belongs to root and holds only files of sockd.

        Symbolic links are not followed: they could lead anywhere.
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
    """Write a file atomically, unless it exists."""
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
