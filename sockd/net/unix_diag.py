"""The accept queue of a listening unix socket (Linux: sock_diag(7)); elsewhere ``None``.

A unix socket has no ``TCP_INFO`` of its own, so the kernel is asked as ss(8) asks it: over netlink,
for the one socket with an inode. It answers before send(2) returns, so nothing waits.
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
"""``NETLINK_SOCK_DIAG``, ``SOCK_DIAG_BY_FAMILY``, ``NLM_F_REQUEST``, ``UDIAG_SHOW_RQLEN``,
``UNIX_DIAG_RQLEN`` and ``TCP_LISTEN``, which is unix sockets' state, too: of linux/netlink.h,
sock_diag.h, unix_diag.h and tcp_states.h."""

_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBHIIIII")
_ANSWER = struct.Struct("=4BI8x")
_ATTRIBUTE = struct.Struct("=HH")
_LENGTHS = struct.Struct("=II")
_ALIGNMENT = 4
_LARGEST = 4096


class AcceptQueue(NamedTuple):
    """The clients that a listening socket has not accepted yet.

    :ivar waiting: how many there are.
    :ivar limit: how many there may be: the backlog, as the kernel has granted it.
    """

    waiting: int
    limit: int


def unix_accept_queue(listening: socket.socket) -> AcceptQueue | None:
    """Return the accept queue of a listening unix socket."""
    if sys.platform != "linux":
        return None
    try:
        inode = os.fstat(listening.fileno()).st_ino
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.send(_question(inode))
            return queue_in(kernel.recv(_LARGEST, socket.MSG_DONTWAIT), inode)
    except OSError:  # no such protocol in this kernel, or a sandbox that has no netlink
        return None


def queue_in(answer: bytes, inode: int) -> AcceptQueue | None:
    """Return the accept queue that the kernel answers with; ``None`` if it has no answer."""
    start = _HEADER.size + _ANSWER.size
    if len(answer) < start or _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    *_, state, _, told = _ANSWER.unpack_from(answer, _HEADER.size)
    if (state, told) != (_LISTENING, inode & 0xFFFFFFFF):
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
