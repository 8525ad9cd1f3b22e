"""The generated password for an ``[admin]`` section without keys and passwords.

Its hash is kept in the state directory. The password itself is shown once, on the terminal that the
daemon was started on. Without a terminal, it is written to a file in the state directory, which is
deleted after the first login. It is never logged.
"""

from __future__ import annotations

from typing import Protocol

from sockd.admin.auth.grants import PASSWORD as BY_PASSWORD
from sockd.admin.auth.grants import Grant
from sockd.admin.auth.passwords import checked_hash, hashed, random_password
from sockd.errors import InvalidValue
from sockd.process.state import FIRST_PASSWORD, PASSWORD, StateDirectory
from sockd.support.logger import PartLogger
from sockd.support.text import printable


class PasswordDisplay(Protocol):
    """The terminal that the daemon was started on, if any."""

    @property
    def is_there(self) -> bool:
        """Whether there is a terminal."""

    def show(self, text: str) -> bool:
        """Print text on the terminal only; return whether this succeeded."""


class FirstPassword:
    """The first password, from its generation to the first login."""

    _log = PartLogger("sockd.admin")

    def __init__(self, state: StateDirectory, screen: PasswordDisplay) -> None:
        self._state = state
        self._screen = screen
        self._hash: bytes | None = None
        self._made: str | None = None
        self._is_in_file = False
        self._is_shown = False

    def find(self) -> bytes | None:
        """Return the hash of the password, or ``None`` if it does not exist yet.

        :raise ConfigurationError: if it cannot be read, or is damaged.
        """
        if self._hash is None:
            kept = self._state.read(PASSWORD)
            if kept is not None:
                self._hash = self._hash_in(kept)
                self._is_in_file = self._state.read(FIRST_PASSWORD) is not None
        return self._hash

    def find_or_make(self, user: str) -> bytes:
        """Return the hash of the password; generate a password if it does not exist.

        If the process is still root, the files are owned by the user that it switches to.

        :raise ConfigurationError: if the state directory cannot be used.
        """
        found = self.find()
        if found is not None:
            return found
        password = random_password()
        made = f"{user}:{hashed(password)}\n".encode()
        kept = self._state.keep(PASSWORD, made)
        if kept == made:  # otherwise another process was faster, and shows its password
            self._made = password
            self._state.discard(FIRST_PASSWORD)
            if not self._screen.is_there:
                self._write(password)
        self._hash = self._hash_in(kept)
        return self._hash

    def show(self) -> None:
        """Show a password that was generated at this start, after the start has succeeded.

        This is called before the daemon detaches from its terminal. If the terminal is closed, the
        password is written to the file.
        """
        if self._made is None or self._is_in_file or self._is_shown:
            return
        self._is_shown = self._screen.show(
            f"admin: the password is {self._made} and is not shown again"
        )
        if not self._is_shown:
            self._write(self._made)

    def take_back(self) -> None:
        """Delete a password that was generated at this start if the start has failed."""
        if self._made is not None:
            self._state.discard(FIRST_PASSWORD)
            self._state.discard(PASSWORD)
            self._made = self._hash = None
            self._is_in_file = False

    def notice(self) -> str | None:
        """Return the log line: the file of the password, or how to get a new one."""
        if self._hash is None or self._is_shown:
            return None
        if self._is_in_file:
            return f"the first password is in {self._path(FIRST_PASSWORD)} until it is used"
        path = self._path(PASSWORD)
        return f"the first password is not shown again; for a new one, delete {path} and restart"

    def entered(self, grant: Grant) -> None:
        """Delete the file after the first login with the password."""
        if not self._is_in_file or grant.method != BY_PASSWORD or grant.evidence != self._hash:
            return
        self._is_in_file = False
        path = self._path(FIRST_PASSWORD)
        if self._state.discard(FIRST_PASSWORD):
            self._log.info("The first password was used; {path} is deleted", path=path)
        else:
            self._log.warn("The first password was used; delete {path}", path=path)

    def _write(self, password: str) -> None:
        self._state.keep(FIRST_PASSWORD, f"{password}\n".encode())
        self._is_in_file = True

    def _hash_in(self, data: bytes) -> bytes:
        """Return the hash in an htpasswd file of one line, for any user."""
        try:
            return checked_hash(data.strip().rpartition(b":")[2])
        except InvalidValue as invalid:
            raise self._state.damaged(PASSWORD, invalid) from None

    def _path(self, name: str) -> str:
        return printable(str(self._state.path / name))
