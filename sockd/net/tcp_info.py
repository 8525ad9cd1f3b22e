"""The kernel's view of a stream socket, mainly from Linux's ``TCP_INFO`` (tcp(7)).

Each function documents its result for systems that do not provide the information.
"""

from __future__ import annotations

import math
import socket
import struct
import sys
from typing import NamedTuple

from sockd.net import unix_diag
from sockd.net.unix_diag import AcceptQueue

# FreeBSD's option of the same name has a different layout.
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_LAYOUT = struct.Struct("@8B24I")
_MICROSECONDS = 1_000_000
_MILLISECONDS = 1000
STATES = (
    "unknown",
    "established",
    "syn-sent",
    "syn-recv",
    "fin-wait-1",
    "fin-wait-2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listen",
    "closing",
)
"""The states of RFC 9293, section 3.3.2, in the order of Linux's numbers (tcp_states.h)."""


class TCPInfo(NamedTuple):
    """The oldest version of ``struct tcp_info`` (linux/tcp.h)."""

    state: int
    ca_state: int
    retransmits: int
    probes: int
    backoff: int
    options: int
    window_scales: int
    delivery_flags: int
    rto: int
    ato: int
    snd_mss: int
    rcv_mss: int
    unacked: int
    sacked: int
    lost: int
    retrans: int
    fackets: int
    last_data_sent: int
    last_ack_sent: int
    last_data_recv: int
    last_ack_recv: int
    pmtu: int
    rcv_ssthresh: int
    rtt: int
    rttvar: int
    snd_ssthresh: int
    snd_cwnd: int
    advmss: int
    reordering: int
    rcv_rtt: int
    rcv_space: int
    total_retrans: int


def unpacked(data: bytes) -> TCPInfo | None:
    """Return the structure in a result of getsockopt(2); ``None`` if its length is wrong."""
    return TCPInfo._make(_LAYOUT.unpack(data)) if len(data) == _LAYOUT.size else None


def described(info: TCPInfo) -> dict[str, object]:
    """Return the values of CONNECTION's ``tcp`` member; times are in seconds."""
    return {
        "state": STATES[info.state] if info.state < len(STATES) else "unknown",
        "rtt": info.rtt / _MICROSECONDS,
        "rttvar": info.rttvar / _MICROSECONDS,
        "retransmits": info.total_retrans,
        "mss": info.snd_mss,
        "cwnd": info.snd_cwnd,
        "unacked": info.unacked,
    }


def tcp_view(sock: socket.socket) -> dict[str, object] | None:
    """Return the kernel's view of a connected TCP socket; times are in seconds.

    ``None`` if the system does not provide it.
    """
    info = _tcp_info(sock)
    return None if info is None else described(info)


def accept_queue(sock: socket.socket) -> AcceptQueue | None:
    """Return the accept queue of a listening socket, or ``None`` if it is unknown.

    For a TCP socket in state LISTEN, ``tcpi_unacked`` is the length of the queue and
    ``tcpi_sacked`` its limit.
    """
    if sock.family == getattr(socket, "AF_UNIX", None):
        return unix_diag.unix_accept_queue(sock)
    info = _tcp_info(sock)
    return None if info is None else AcceptQueue(info.unacked, info.sacked)


def seconds_since_send(sock: socket.socket) -> float:
    """Return the time since the kernel last sent data, in seconds; infinity if unknown."""
    info = _tcp_info(sock)
    return math.inf if info is None else info.last_data_sent / _MILLISECONDS


def unread(sock: socket.socket) -> int:
    """Return the number of bytes in the receive buffer (ioctl_tty(2), ``FIONREAD``).

    0 if unknown.
    """
    if sys.platform == "win32":
        return 0
    from termios import FIONREAD  # POSIX only

    return _queued(sock, FIONREAD)


def unacknowledged(sock: socket.socket) -> int:
    """Return the number of bytes that are not acknowledged yet (tcp(7), ``SIOCOUTQ``).

    For a unix socket, these are the bytes that the peer has not read, including kernel overhead.
    0 if unknown.
    """
    if sys.platform != "linux":
        return 0
    from termios import TIOCOUTQ  # Linux has the same number for SIOCOUTQ

    return _queued(sock, TIOCOUTQ)


def _queued(sock: socket.socket, request: int) -> int:
    """Return the length of a socket's queue, in bytes; 0 if unknown."""
    from fcntl import ioctl  # POSIX only

    try:
        return int.from_bytes(ioctl(sock, request, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # ValueError: the socket is closed
        return 0


def _tcp_info(sock: socket.socket) -> TCPInfo | None:
    if _TCP_INFO is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return unpacked(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAYOUT.size))
    except OSError:
        return None
