"""What is at the path where a unix socket is to be bound, and whether it may be removed. Pure.

A socket's file outlives its process. Who made the file does not tell whether the socket is in use:
the process number of one container is another process in the next, and the same one again after a
restart. The kernel tells, by what connect(2) answers.
"""

from __future__ import annotations

import errno
import stat
from enum import Enum
from types import MappingProxyType


class Occupant(Enum):
    """What is at a path."""

    NOTHING = "nothing"
    STALE_SOCKET = "stale socket"
    """The file of a socket that no process has any more."""
    LIVE_SOCKET = "live socket"
    UNKNOWN_SOCKET = "unknown socket"
    """One that this user may not connect to."""
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
    """Return what is at a path.

    :param mode: the file's ``st_mode``, not followed if it is a symbolic link; ``None`` if there
        is no file.
    :param probed: the error of connect(2) from a *datagram* socket, 0 if there was none. Every
        socket that is bound there answers, one that does not listen yet or whose queue is full
        too, and a stream socket gets no connection by it (``EPROTOTYPE``).
    """
    if mode is None:
        return Occupant.NOTHING
    if not stat.S_ISSOCK(mode):  # connect(2) refuses these as well
        return Occupant.OTHER_FILE
    return _PROBED.get(probed, Occupant.LIVE_SOCKET)


def obstacle(found: Occupant, replaces_stale: bool) -> int:
    """Return the error with which a bind there fails, 0 if it may go on without what is there.

    :param replaces_stale: whether a stale socket makes room.
    """
    if found is Occupant.STALE_SOCKET and replaces_stale:
        return 0
    return _OBSTACLES.get(found, 0)
