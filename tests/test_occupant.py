"""An obstacle to a unix socket is removed only if it is the socket of a dead process."""

from __future__ import annotations

import errno
import stat

import pytest

from sockd.net.unix_occupant import Occupant, obstacle, occupant

SOCKET = stat.S_IFSOCK | 0o600


@pytest.mark.parametrize(
    ("mode", "probed", "found"),
    [
        (None, errno.ENOENT, Occupant.NOTHING),
        (SOCKET, errno.ENOENT, Occupant.NOTHING),
        (SOCKET, errno.ECONNREFUSED, Occupant.STALE_SOCKET),
        (SOCKET, errno.EPROTOTYPE, Occupant.LIVE_SOCKET),
        (SOCKET, errno.EAGAIN, Occupant.LIVE_SOCKET),
        (SOCKET, 0, Occupant.LIVE_SOCKET),
        (SOCKET, errno.EIO, Occupant.LIVE_SOCKET),
        (SOCKET, errno.EACCES, Occupant.UNKNOWN_SOCKET),
        (stat.S_IFREG | 0o600, errno.ECONNREFUSED, Occupant.OTHER_FILE),
        (stat.S_IFLNK | 0o777, errno.ECONNREFUSED, Occupant.OTHER_FILE),
        (stat.S_IFDIR | 0o700, errno.ECONNREFUSED, Occupant.OTHER_FILE),
        (stat.S_IFIFO | 0o600, errno.ECONNREFUSED, Occupant.OTHER_FILE),
    ],
)
def test_the_kernel_tells_what_is_there(mode: int | None, probed: int, found: Occupant) -> None:
    assert occupant(mode, probed) is found


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (Occupant.NOTHING, 0),
        (Occupant.STALE_SOCKET, 0),
        (Occupant.LIVE_SOCKET, errno.EADDRINUSE),
        (Occupant.UNKNOWN_SOCKET, errno.EACCES),
        (Occupant.OTHER_FILE, errno.EEXIST),
    ],
)
def test_only_a_stale_socket_makes_room(found: Occupant, error: int) -> None:
    assert obstacle(found, replaces_stale=True) == error


def test_without_replacement_a_stale_socket_stays() -> None:
    assert obstacle(Occupant.NOTHING, replaces_stale=False) == 0
    assert obstacle(Occupant.STALE_SOCKET, replaces_stale=False) == errno.EEXIST
    assert obstacle(Occupant.LIVE_SOCKET, replaces_stale=False) == errno.EADDRINUSE
