"""Reading of the files that the configuration names, without blocking. Pure.

A reload reads files in the reactor thread. Opening a FIFO blocks until there is a writer, and
reading from a terminal, a pipe or ``/dev/zero`` may never end. Therefore only regular files are
read, up to a limit.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from sockd.errors import InvalidValue
from sockd.support.text import printable

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE = 1024 * 1024
"""The maximum size of a file that the configuration names, in bytes."""

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOCTTY", "O_NONBLOCK"))
"""With O_NONBLOCK, open(2) does not block even if a FIFO replaces the file after the check."""

_SORTS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularError(OSError):
    """The file is not a regular file; ``strerror`` names its type."""


def read_regular(path: Path, limit: int) -> bytes:
    """Return the first ``limit + 1`` bytes of a regular file.

    :param limit: in bytes. A longer result means that the file exceeds the limit.
    :raise NotRegularError: if it is not a regular file.
    :raise OSError: if it cannot be read.
    """
    try:
        _check_regular(path.stat())
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a name with a null character
        raise OSError(None, str(error)) from None
    try:
        _check_regular(os.fstat(descriptor))
        return _read(descriptor, limit + 1)
    finally:
        os.close(descriptor)


def content(path: Path) -> bytes:
    """Return the content of a file that the configuration names.

    :raise InvalidValue: if it is not a regular file, is too long, or cannot be read.
    """
    try:
        data = read_regular(path, LARGEST_FILE)
    except OSError as error:
        message = f"{shown(path)} cannot be read: {reason(error)}"
        is_odd = isinstance(error, NotRegularError)
        hint = "a regular file" if is_odd else "a file that exists, and that this user may read"
        raise InvalidValue(message, hint) from None
    if len(data) > LARGEST_FILE:
        message = f"{shown(path)} is longer than {LARGEST_FILE} bytes"
        raise InvalidValue(message, "another file")
    return data


def shown(path: Path) -> str:
    """Return a path for an error message: complete, printable and quoted."""
    return f"'{printable(str(path))}'"


def reason(error: OSError) -> str:
    """Return the reason of an error as printable text."""
    return printable(error.strerror or str(error))


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        sort = next((name for is_it, name in _SORTS if is_it(status.st_mode)), "something else")
        raise NotRegularError(None, f"it is {sort}, not a regular file")


def _read(descriptor: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (part := os.read(descriptor, size - len(data))):
        data += part
    return bytes(data)
