"""Packets are cut after their headers; payload is removed, lengths and order stay."""

from __future__ import annotations

import struct
from contextlib import suppress
from ipaddress import ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.capture.headers import headers_length
from sockd.capture.pcapng import (
    INTERFACE,
    PACKET,
    SECTION,
    STATISTICS,
    Block,
    Blocks,
    FormatError,
)

ETHERNET, RAW, COOKED, COOKED_2 = 1, 101, 113, 276
LINKS = {ETHERNET: (12, 0), RAW: (0, 0), COOKED: (14, 0), COOKED_2: (0, 18)}
"""The number of bytes before and after the EtherType; a raw packet has none."""


def packet(link: int, version: int, protocol: str, options: int, payload: bytes) -> bytes:
    """Return a packet with so many words of TCP options."""
    if protocol == "tcp":
        transport = bytes(12) + bytes([(5 + options) << 4]) + bytes(7 + 4 * options)
    else:
        transport = bytes(8)
    number = 6 if protocol == "tcp" else 17
    if version == 4:
        ip = bytes([0x45]) + bytes(8) + bytes([number]) + bytes(10)
    else:
        ip = bytes([0x60]) + bytes(5) + bytes([number]) + bytes(1) + ip_address("::1").packed * 2
    before, after = LINKS[link]
    ether = b"" if link == RAW else (b"\x08\x00" if version == 4 else b"\x86\xdd")
    return bytes(before) + ether + bytes(after) + ip + transport + payload


@given(
    st.sampled_from(sorted(LINKS)),
    st.sampled_from([4, 6]),
    st.sampled_from(["tcp", "udp"]),
    st.integers(0, 10),
    st.binary(max_size=100),
)
def test_headers_end_where_the_payload_begins(
    link: int, version: int, protocol: str, options: int, payload: bytes
) -> None:
    whole = packet(link, version, protocol, options, payload)
    assert headers_length(whole, link) == len(whole) - len(payload)
    for end in range(len(whole) - len(payload)):
        assert headers_length(whole[:end], link) <= end


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((14 + 9, 132), 34),
        ((14 + 6, 0x01), 34),
        ((14, 0x46), 38 + 20),
        ((12, 0x81), 14),
    ],
    ids=["another protocol", "a later fragment", "options of IPv4", "another EtherType"],
)
def test_what_is_not_understood_is_no_header(change: tuple[int, int], expected: int) -> None:
    data = bytearray(packet(ETHERNET, 4, "tcp", 0, b""))
    location, value = change
    if value == 0x46:
        data[34:34] = bytes(4)
    data[location] = value
    assert headers_length(bytes(data) + b"payload", ETHERNET) == expected
    assert headers_length(bytes(data), 105) == 0


def block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("=II", kind, length) + body + struct.pack("=I", length)


def packet_block(data: bytes, size: int, interface: int = 0, options: bytes = b"") -> bytes:
    head = struct.pack("=5I", interface, 1, 2, len(data), size)
    return block(PACKET, head + data + bytes(-len(data) % 4) + options)


PREAMBLE = block(SECTION, bytes(16)) + block(INTERFACE, struct.pack("=HHI", ETHERNET, 0, 140))
SECRET = b"a secret of seventeen"
WHOLE = packet(ETHERNET, 4, "tcp", 3, SECRET)
STREAM = (
    PREAMBLE
    + packet_block(WHOLE, 5000, options=b"option..")
    + block(4, b"name")
    + block(STATISTICS, b"stat")
)


def test_a_packet_keeps_its_length_and_loses_its_payload() -> None:
    blocks = list(Blocks(with_payload=False).feed(STREAM))
    assert [one.kind for one in blocks] == [SECTION, INTERFACE, PACKET, STATISTICS]
    headers = WHOLE.removesuffix(SECRET)
    assert blocks[2].data == packet_block(headers, 5000, options=b"option..")


def test_with_payload_the_stream_stays_as_it_is() -> None:
    blocks = Blocks(with_payload=True).feed(STREAM)
    assert b"".join(one.data for one in blocks) == STREAM.replace(block(4, b"name"), b"")


@given(st.lists(st.integers(0, len(STREAM)), max_size=5))
def test_the_pieces_in_which_it_comes_make_no_difference(cuts: list[int]) -> None:
    blocks = Blocks(with_payload=False)
    locations = [0, *sorted(cuts), len(STREAM)]
    found: list[Block] = []
    for start, end in pairwise(locations):
        found += blocks.feed(STREAM[start:end])
    assert found == list(Blocks(with_payload=False).feed(STREAM))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        packet_block(b"", 0),
        PREAMBLE + packet_block(b"data", 4, interface=1),
        PREAMBLE + block(PACKET, bytes(8)),
        PREAMBLE + block(PACKET, struct.pack("=5I", 0, 0, 0, 100, 100)),
        struct.pack("=III", SECTION, 8, 8),
    ],
)
def test_what_is_no_pcapng_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(Blocks(with_payload=False).feed(data))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_awaited(data: bytes) -> None:
    with suppress(FormatError):
        list(Blocks(with_payload=False).feed(PREAMBLE + data))
