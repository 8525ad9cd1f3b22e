"""No bytes that reach the doors of the shell shake the daemon, and none of them opens one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import RunSockd
from tests.fuzzing import Leave, bounded, chunks, converse, unshaken

LAB = """
[service:s]
kind = tcp
listen = tcp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
[admin]
ssh = tcp:0:interface=127.0.0.1
telnet = tcp:0:interface=127.0.0.1
"""
VERSION = b"SSH-2.0-fuzz\r\n"
KEXINIT = 20

noise = st.binary(max_size=300)
banners = st.sampled_from([VERSION] * 6 + [b"SSH-1.5-old\r\n", b"SSH-2.0\n", b"\r\n" * 50]) | noise


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """Return a packet as of RFC 4253, 6, whose parts may not agree with each other."""
    kind = draw(st.sampled_from([1, 2, 3, 4, 5, 6, KEXINIT, 21, 30, 31, 50, 80, 90, 94, 255]))
    payload = bytes([kind]) + draw(noise)
    if kind == KEXINIT and draw(st.booleans()):
        payload = bytes([kind]) + bytes(16) + draw(name_lists) + bytes(5)
    padding = 4 + -(len(payload) + 9) % 8
    length = len(payload) + padding + 1
    length = draw(st.sampled_from([length] * 8 + [0, 1, 5, length + 1, 0xFFFFFFFF, 1 << 20]))
    return struct.pack(">LB", length, padding) + payload + bytes(padding)


names = st.sampled_from(
    [b"curve25519-sha256", b"ssh-ed25519", b"aes256-ctr", b"hmac-sha2-256", b"none", b"", b"\xff"]
)
name_lists = st.lists(
    st.lists(names, max_size=3).map(b",".join).map(lambda one: struct.pack(">L", len(one)) + one),
    min_size=8,
    max_size=10,
).map(b"".join)
ssh = st.tuples(banners, st.lists(packets() | noise, max_size=5).map(b"".join)).map(b"".join)

commands = st.builds(bytes, st.tuples(st.just(255), st.integers(236, 255), st.integers(0, 255)))
keys = st.sampled_from([b"admin\r\n", b"\r\0", b"\n", b"\x03", b"\x04", b"\x1b[A", b"\x7f" * 9])
telnet = st.lists(commands | keys | noise, max_size=20).map(b"".join)


@pytest.mark.parametrize(("way", "streams"), [("ssh", ssh), ("telnet", telnet)])
def test_no_noise_at_the_door_shakes_the_daemon(
    run_sockd: RunSockd, way: str, streams: st.SearchStrategy[bytes]
) -> None:
    sockd = run_sockd(LAB)
    port = int(sockd.wait_for(rf"admin: {way} (?:-p|127\.0\.0\.1) (\d+)")[1])

    @bounded
    @given(chunks(streams), st.sampled_from(Leave))
    def knock(parts: list[bytes], leave: Leave) -> None:
        converse(port, parts, leave)

    with unshaken(sockd):
        knock()
    assert "Admin login:" not in sockd.output
