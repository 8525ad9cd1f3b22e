"""The file of a unix socket: bound where a dead process has left one, removed at the end.

Twisted locks such a file with a process number. After a crash in a container that number is this
process's own, as the daemon is always process 1 there, and Twisted takes the dead process for a
live one. See :mod:`sockd.net.unix_occupant` for what decides here.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sockd.net.unix_occupant import Occupant, obstacle, occupant

_LOCK_TIME = 0.5
"""How long to wait for a process that removes a stale socket in the same directory, in seconds."""

_LOCK_PAUSE = 0.002


class SocketFile:
    """The file that a socket is bound to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _file_identity(path)

    def remove(self) -> None:
        """Remove it, unless another file has taken its place.

        The socket must still be open: until it is closed nothing else gets its inode number.

        :raise OSError: if it is gone, or may not be removed.
        """
        if _file_identity(self._path) == self._identity:
            self._path.unlink()


def bind_file(made: socket.socket, path: Path, replaces_stale: bool) -> SocketFile:
    """Bind a socket to a path, and return its file.

    :param replaces_stale: whether the socket of a process that is gone makes room.
    :raise OSError: ``EADDRINUSE`` if another socket is bound there, ``EEXIST`` if another file is
        there, ``EACCES`` if it cannot be told or the directory is not writable, ``EWOULDBLOCK`` if
        another process holds the lock of the directory.
    """
    try:
        _bind(made, path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _replace_file(made, path, replaces_stale)
    return SocketFile(path)


def _replace_file(made: socket.socket, path: Path, replaces_stale: bool) -> None:
    """Bind where there was a file.

    Only the owner of the lock removes one, so that of two processes that start at once neither
    removes what the other has just bound.
    """
    with _directory_lock(path.parent):
        found = _occupant(path)
        error = obstacle(found, replaces_stale)
        if error:
            raise OSError(error, os.strerror(error))
        if found is Occupant.STALE_SOCKET:
            with suppress(FileNotFoundError):
                path.unlink()
        _bind(made, path)


def _bind(made: socket.socket, path: Path) -> None:
    try:
        made.bind(os.fspath(path))
    except OSError as error:
        if error.errno is None:  # Python's own: the path does not fit into sockaddr_un (unix(7))
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from None
        raise


def _occupant(path: Path) -> Occupant:
    mode = None
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return occupant(mode, probe.connect_ex(os.fspath(path)))


@contextmanager
def _directory_lock(folder: Path) -> Iterator[None]:
    """Hold flock(2) on a directory; do without where it cannot be opened or locked.

    :raise OSError: ``EWOULDBLOCK`` if another process does not release it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may write to a directory and not read it
        yield
        return
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    from fcntl import LOCK_EX, LOCK_NB, flock  # POSIX alone

    end = time.monotonic() + _LOCK_TIME
    while True:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(_LOCK_PAUSE)
        except OSError:  # a file system without locks
            return
        else:
            return


def _file_identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
