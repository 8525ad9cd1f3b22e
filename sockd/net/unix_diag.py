"""The accept queue of a listening unix socket, from sock_diag(7) on Linux.

Unix sockets have no ``TCP_INFO``. As in ss(8), the kernel is asked over netlink for the socket with
a given inode. It answers before send(2) returns, so this does not block.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import NamedTuple

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST = 1
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF
_SHOW_QUEUE = 0x10
_QUEUE = 4
_LISTENING = 10
"""``NETLINK_SOCK_DIAG``, ``SOCK_DIAG_BY_FAMILY``, ``NLM_F_REQUEST``, all bits set for any state and
for no cookie, ``UDIAG_SHOW_RQLEN``, ``UNIX_DIAG_RQLEN``, and ``TCP_LISTEN``, which unix sockets use
too (linux/netlink.h, sock_diag.h, unix_diag.h, tcp_states.h)."""

_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBHIIIII")
_ANSWER = struct.Struct("=4BI8x")
_ATTRIBUTE = struct.Struct("=HH")
_LENGTHS = struct.Struct("=II")
_ALIGNMENT = 4
_LARGEST = 4096


class AcceptQueue(NamedTuple):
    """The accept queue of a listening socket.

    :ivar waiting: the number of clients that were not accepted yet.
    :ivar limit: the maximum number: the backlog that the kernel granted.
    """

    waiting: int
    limit: int


def unix_accept_queue(listening: socket.socket) -> AcceptQueue | None:
    """Return the accept queue of a listening unix socket, or ``None`` if it is unknown."""
    if sys.platform != "linux":
        return None
    try:
        inode = os.fstat(listening.fileno()).st_ino
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.send(_question(inode))
            return queue_in(kernel.recv(_LARGEST, socket.MSG_DONTWAIT), inode)
    except OSError:  # not supported by this kernel, or a sandbox blocks netlink
        return None


def queue_in(answer: bytes, inode: int) -> AcceptQueue | None:
    """Return the accept queue in the kernel's answer; ``None`` if it contains none."""
    start = _HEADER.size + _ANSWER.size
    if len(answer) < start or _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    *_, state, _, found_inode = _ANSWER.unpack_from(answer, _HEADER.size)
    if (state, found_inode) != (_LISTENING, inode & 0xFFFFFFFF):
        return None
    while start + _ATTRIBUTE.size + _LENGTHS.size <= len(answer):
        length, sort = _ATTRIBUTE.unpack_from(answer, start)
        if sort == _QUEUE:
            return AcceptQueue._make(_LENGTHS.unpack_from(answer, start + _ATTRIBUTE.size))
        start += max(_ALIGNMENT, length + -length % _ALIGNMENT)
    return None


def _question(inode: int) -> bytes:
    wanted = _QUESTION.pack(
        socket.AF_UNIX, 0, 0, _ANY_STATE, inode & 0xFFFFFFFF, _SHOW_QUEUE, _NO_COOKIE, _NO_COOKIE
    )
    return _HEADER.pack(_HEADER.size + len(wanted), _BY_FAMILY, _REQUEST, 0, 0) + wanted
