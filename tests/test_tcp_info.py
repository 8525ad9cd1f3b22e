"""Parsing of ``TCP_INFO``, and the results on systems without it."""

from __future__ import annotations

import errno
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sockd.net.tcp_info import (
    STATES,
    TCPInfo,
    accept_queue,
    described,
    seconds_since_send,
    tcp_view,
    unpacked,
    unread,
)
from sockd.net.unix_diag import queue_in
from tests.fresh import REPOSITORY

SIZE = 104
"""The size of the oldest ``struct tcp_info``, in bytes: eight members of one byte, 24 of four."""

NOTHING = TCPInfo._make([0] * len(TCPInfo._fields))

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def answer(**members: int) -> bytes:
    """Return the kernel's answer with these members; all others are zero."""
    values = NOTHING._replace(**members)
    return bytes(values[:8]) + b"".join(one.to_bytes(4, sys.byteorder) for one in values[8:])


def test_every_member_is_found_in_its_place() -> None:
    members = {name: number for number, name in enumerate(TCPInfo._fields, 1)}
    assert len(answer(**members)) == SIZE
    assert unpacked(answer(**members)) == TCPInfo(**members)


@pytest.mark.parametrize("data", [b"", bytes(8), bytes(SIZE - 1), bytes(SIZE + 1)])
def test_an_answer_of_another_length_is_none(data: bytes) -> None:
    assert unpacked(data) is None


def test_times_are_in_seconds_and_the_rest_as_it_is() -> None:
    info = NOTHING._replace(
        state=1, rtt=1500, rttvar=250, total_retrans=3, retransmits=2, snd_mss=1448, snd_cwnd=10,
        unacked=4,
    )  # fmt: skip
    assert described(info) == {
        "state": "established",
        "rtt": 0.0015,
        "rttvar": 0.00025,
        "retransmits": 3,
        "mss": 1448,
        "cwnd": 10,
        "unacked": 4,
    }


@pytest.mark.parametrize(
    ("number", "state"),
    [(1, "established"), (5, "fin-wait-2"), (8, "close-wait"), (10, "listen"), (11, "closing")],
)
def test_states_have_the_numbers_of_linux(number: int, state: str) -> None:
    assert described(NOTHING._replace(state=number))["state"] == state == STATES[number]


@pytest.mark.parametrize("number", [0, 12, 255])
def test_a_state_that_is_not_known_is_said_to_be_unknown(number: int) -> None:
    assert described(NOTHING._replace(state=number))["state"] == "unknown"


BACKLOG = 7


@on_linux
def test_a_socket_is_asked_from_its_first_connection_to_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as server:
        assert accept_queue(server) == (0, BACKLOG)
        with socket.create_connection(server.getsockname()) as client:
            assert accept_queue(server) == (1, BACKLOG)
            view = tcp_view(client)
            assert view is not None
            assert view["state"] == "established"
            client.sendall(b"x")
            assert seconds_since_send(client) < 60
    assert tcp_view(client) is None
    assert accept_queue(server) is None
    assert seconds_since_send(client) == math.inf


@on_linux
def test_a_unix_socket_is_asked_how_many_wait_at_it(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert accept_queue(server) is None
        server.listen(BACKLOG)
        assert accept_queue(server) == (0, BACKLOG)
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            one.connect(path)
            other.connect(path)
            assert accept_queue(server) == (2, BACKLOG)
            server.accept()[0].close()
            assert accept_queue(server) == (1, BACKLOG)
    assert accept_queue(server) is None


QUEUE = bytes.fromhex(
    "3400000014000000010000006570000001010a00a7015900c1110000000000000c00040003000000320000000500"
    "060000000000"
)
"""Linux's answer for the socket with inode 0x5901a7: 3 of at most 50 clients wait."""


@pytest.mark.skipif(sys.byteorder != "little", reason="it was a little-endian machine")
def test_an_answer_about_another_socket_or_of_another_sort_is_none() -> None:
    assert queue_in(QUEUE, 0x5901A7) == (3, 50)
    assert queue_in(QUEUE, 0x5901A8) is None
    assert queue_in(QUEUE[:32], 0x5901A7) is None
    assert queue_in(QUEUE[:32] + QUEUE[44:], 0x5901A7) is None
    assert queue_in(QUEUE[:20], 0x5901A7) is None
    assert queue_in(b"", 0x5901A7) is None
    refusal = QUEUE[:4] + b"\x02\x00" + QUEUE[6:]
    assert queue_in(refusal, 0x5901A7) is None


@on_linux
def test_where_netlink_is_not_allowed_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*_: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        monkeypatch.setattr(socket, "socket", refused)
        assert accept_queue(server) is None


def test_what_waits_to_be_read_is_told_and_left_there() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert unread(one) == 0
        other.sendall(b"hello")
        assert unread(one) == 5
        assert one.recv(10) == b"hello"
        assert unread(one) == 0
    assert unread(one) == 0


def test_other_sockets_tell_nothing() -> None:
    one, other = socket.socketpair()
    with one, other, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for sock in (one, datagrams):
            assert tcp_view(sock) is None
            assert accept_queue(sock) is None
            assert seconds_since_send(sock) == math.inf


ELSEWHERE = """
import socket, sys
PREPARE
from sockd.net.tcp_info import accept_queue, seconds_since_send, tcp_view
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()) as client:
        print(accept_queue(server), tcp_view(client), seconds_since_send(client))
"""


@pytest.mark.parametrize(
    "prepare", ["vars(socket).pop('TCP_INFO')", "sys.platform = 'freebsd14'"], ids=["none", "other"]
)
def test_elsewhere_nothing_is_told(prepare: str) -> None:
    program = ELSEWHERE.replace("PREPARE", prepare)
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == "None None inf\n"
