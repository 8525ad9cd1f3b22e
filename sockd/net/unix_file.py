"""The file of a unix socket: it replaces one that a dead process left, and is removed at the end.

Twisted locks such a file with a process number. In a container the daemon is always process 1, so
after a crash Twisted takes the dead process for a live one. :mod:`sockd.net.unix_occupant` decides
here instead.
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
"""The timeout for the lock of a process that removes a stale socket, in seconds."""

_LOCK_PAUSE = 0.002


class SocketFile:
    """The file that a unix socket is bound to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _file_identity(path)

    def remove(self) -> None:
        """Remove the file unless it was replaced by another.

        The socket must still be open, so that its inode number is not reused.

        :raise OSError: if the file does not exist or may not be removed.
        """
        if _file_identity(self._path) == self._identity:
            self._path.unlink()


def bind_file(made: socket.socket, path: Path, replaces_stale: bool) -> SocketFile:
    """Bind a socket to a path, and return its file.

    :param replaces_stale: whether a stale socket, left by a dead process, is replaced.
    :raise OSError: ``EADDRINUSE`` if another socket is bound there, ``EEXIST`` if another file is
        there, ``EACCES`` if that cannot be determined or the directory is not writable,
        ``EWOULDBLOCK`` if another process holds the lock of the directory.
    """
    try:
        _bind(made, path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _replace_file(made, path, replaces_stale)
    return SocketFile(path)


def _replace_file(made: socket.socket, path: Path, replaces_stale: bool) -> None:
    """Remove a stale socket and bind.

    Files are removed only under the lock. Otherwise, of two processes that start at the same time,
    one could remove the file that the other has just bound.
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
        if error.errno is None:  # from Python: the path does not fit into sockaddr_un (unix(7))
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
    """Hold flock(2) on a directory; do nothing if it cannot be opened or locked.

    :raise OSError: ``EWOULDBLOCK`` if another process does not release the lock in time.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # the directory may be writable but not readable
        yield
        return
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    from fcntl import LOCK_EX, LOCK_NB, flock  # POSIX only

    end = time.monotonic() + _LOCK_TIME
    while True:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(_LOCK_PAUSE)
        except OSError:  # the file system does not support locks
            return
        else:
            return


def _file_identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
