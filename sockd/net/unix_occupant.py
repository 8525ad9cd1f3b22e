"""The occupant of the path where a unix socket is to be bound. Pure.

The file of a unix socket remains when its process dies. A recorded process number does not show
whether the socket is in use, since containers reuse the numbers. The result of connect(2) does.
"""

from __future__ import annotations

import errno
import stat
from enum import Enum
from types import MappingProxyType


class Occupant(Enum):
    """The kind of file at a path."""

    NOTHING = "nothing"
    STALE_SOCKET = "stale socket"
    """The file of a socket that no process has open."""
    LIVE_SOCKET = "live socket"
    UNKNOWN_SOCKET = "unknown socket"
    """A socket that this user may not connect to."""
    OTHER_FILE = "other file"


_PROBED = MappingProxyType(
    {
        errno.ENOENT: Occupant.NOTHING,
        errno.ECONNREFUSED: Occupant.STALE_SOCKET,
        errno.EACCES: Occupant.UNKNOWN_SOCKET,
        errno.EPERM: Occupant.UNKNOWN_SOCKET,
    }
)
_OBSTACLES = MappingProxyType(
    {
        Occupant.STALE_SOCKET: errno.EEXIST,
        Occupant.LIVE_SOCKET: errno.EADDRINUSE,
        Occupant.UNKNOWN_SOCKET: errno.EACCES,
        Occupant.OTHER_FILE: errno.EEXIST,
    }
)


def occupant(mode: int | None, probed: int) -> Occupant:
    """Return the kind of file at a path.

    :param mode: the ``st_mode`` of the file, without following a symbolic link; ``None`` if the
        file does not exist.
    :param probed: the error number of connect(2) from a *datagram* socket, 0 if it succeeded. A
        stream socket that is bound there fails with ``EPROTOTYPE`` and gets no connection, also
        if it does not listen yet or if its accept queue is full.
    """
    if mode is None:
        return Occupant.NOTHING
    if not stat.S_ISSOCK(mode):  # connect(2) also fails with ECONNREFUSED for these
        return Occupant.OTHER_FILE
    return _PROBED.get(probed, Occupant.LIVE_SOCKET)


def obstacle(found: Occupant, replaces_stale: bool) -> int:
    """Return the error number with which bind fails, 0 if nothing prevents it.

    :param replaces_stale: whether a stale socket may be replaced.
    """
    if found is Occupant.STALE_SOCKET and replaces_stale:
        return 0
    return _OBSTACLES.get(found, 0)
