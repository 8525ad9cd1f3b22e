"""PROXY headers of both versions, in any fragmentation: parsed, or rejected with a reason."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sockd.model.address import Address
from sockd.proxy.header import NO_ADDRESSES, Header, MalformedHeader
from sockd.proxy.reader import HeaderReader
from tests.proxy_headers import LOCAL, PROXY, SIGNATURE, addresses, extension, version_2

FOUR = Header(Address("192.0.2.1", 50412), Address("198.51.100.1", 443))
SIX = Header(Address("2001:db8::1", 50412), Address("2001:db8::2", 443))
BLOCK_4 = addresses("192.0.2.1", 50412, "198.51.100.1", 443)
BLOCK_6 = addresses("2001:db8::1", 50412, "2001:db8::2", 443)
LONG = extension(0x04, bytes(65535 - 12 - 3))
"""The largest extensions that fit after IPv4 addresses."""

READ = {
    "IPv4": (b"PROXY TCP4 192.0.2.1 198.51.100.1 50412 443\r\n", FOUR),
    "IPv6": (b"PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 50412 443\r\n", SIX),
    "IPv4 as IPv6": (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6401 50412 443\r\n", FOUR),
    "ports 0 and 65535": (
        b"PROXY TCP4 192.0.2.1 198.51.100.1 0 65535\r\n",
        Header(Address("192.0.2.1", 0), Address("198.51.100.1", 65535)),
    ),
    "unknown": (b"PROXY UNKNOWN\r\n", NO_ADDRESSES),
    "the longest line": (
        b"PROXY UNKNOWN " + b" ".join([b"f" * 39, b"f" * 39, b"65535", b"65535"]) + b"\r\n",
        NO_ADDRESSES,
    ),
    "unknown, and whatever": (b"PROXY UNKNOWN \x00\xff\r \x1b[2J\r\n", NO_ADDRESSES),
    "2, IPv4": (version_2(PROXY, 0x11, BLOCK_4), FOUR),
    "2, IPv6": (version_2(PROXY, 0x21, BLOCK_6), SIX),
    "2, IPv4 as IPv6": (
        version_2(PROXY, 0x21, addresses("::ffff:192.0.2.1", 50412, "::ffff:198.51.100.1", 443)),
        FOUR,
    ),
    "2, datagrams": (version_2(PROXY, 0x12, BLOCK_4), FOUR),
    "2, extensions": (version_2(PROXY, 0x21, BLOCK_6 + extension(0x02, b"example.org")), SIX),
    "2, the longest": (version_2(PROXY, 0x11, BLOCK_4 + LONG), FOUR),
    "2, local": (version_2(LOCAL, 0x00, b""), NO_ADDRESSES),
    "2, local with what is to be ignored": (version_2(LOCAL, 0xFF, BLOCK_4), NO_ADDRESSES),
    "2, unspecified": (version_2(PROXY, 0x00, b"anything"), NO_ADDRESSES),
    "2, unix": (version_2(PROXY, 0x31, b"/run/lab".ljust(108, b"\0") * 2), NO_ADDRESSES),
}

REFUSED = {
    "no header": b"hello",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
    "TLS": b"\x16\x03\x01",
    "small letters": b"proxy TCP4",
    "two spaces": b"PROXY  TCP4 192.0.2.1 198.51.100.1 50412 443\r\n",
    "a space at the end": b"PROXY TCP4 192.0.2.1 198.51.100.1 50412 443 \r\n",
    "a tab": b"PROXY TCP4\t192.0.2.1 198.51.100.1 50412 443\r\n",
    "no carriage return": b"PROXY TCP4 192.0.2.1 198.51.100.1 50412 443\n",
    "unknown without one": b"PROXY UNKNOWN\n",
    "almost unknown": b"PROXY UNKNOWNS\r\n",
    "nothing": b"PROXY \r\n",
    "UDP": b"PROXY UDP4 192.0.2.1 198.51.100.1 50412 443\r\n",
    "the other family": b"PROXY TCP4 2001:db8::1 2001:db8::2 50412 443\r\n",
    "the other family, 6": b"PROXY TCP6 192.0.2.1 198.51.100.1 50412 443\r\n",
    "an address too few": b"PROXY TCP4 192.0.2.1 50412 443\r\n",
    "a part too many": b"PROXY TCP4 192.0.2.1.1 198.51.100.1 50412 443\r\n",
    "octal": b"PROXY TCP4 192.0.02.1 198.51.100.1 50412 443\r\n",
    "a scope": b"PROXY TCP6 fe80::1%eth0 2001:db8::2 50412 443\r\n",
    "a name": b"PROXY TCP4 localhost 198.51.100.1 50412 443\r\n",
    "port 65536": b"PROXY TCP4 192.0.2.1 198.51.100.1 50412 65536\r\n",
    "port 080": b"PROXY TCP4 192.0.2.1 198.51.100.1 080 443\r\n",
    "port +80": b"PROXY TCP4 192.0.2.1 198.51.100.1 +80 443\r\n",
    "not ASCII": "PROXY TCP4 192.0.2.1 198.51.100.1 ٤٤٣ 443\r\n".encode(),
    "a line too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "a line without an end": b"PROXY UNKNOWN " + b"x" * 93,
    "2, version 1": version_2(0x11, 0x11, BLOCK_4),
    "2, a command": version_2(0x22, 0x11, BLOCK_4),
    "2, a family": version_2(PROXY, 0x41, BLOCK_4),
    "2, a protocol": version_2(PROXY, 0x13, BLOCK_4),
    "2, too short for IPv4": version_2(PROXY, 0x11, BLOCK_4[:-1]),
    "2, too short for IPv6": version_2(PROXY, 0x21, BLOCK_6[:-1]),
    "2, a signature": SIGNATURE[:-1] + b"\r",
}


def fed(pieces: list[bytes]) -> tuple[Header, bytes] | str | None:
    """Return the result of feeding pieces: the header and the rest, or the error message."""
    reader = HeaderReader()
    for number, piece in enumerate(pieces, 1):
        try:
            found = reader.feed(piece)
        except MalformedHeader as malformed:
            return str(malformed)
        if found is not None:
            header, rest = found
            return header, rest + b"".join(pieces[number:])
    return None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return data in pieces, some of which may be empty."""
    ends = sorted(location % (len(data) + 1) for location in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@pytest.mark.parametrize(("data", "header"), READ.values(), ids=READ.keys())
def test_a_header_is_read_and_what_follows_is_left(data: bytes, header: Header) -> None:
    assert fed([data]) == (header, b"")
    assert fed([data + b"PROXY more"]) == (header, b"PROXY more")


@pytest.mark.parametrize("name", [name for name in READ if name != "2, the longest"])
def test_a_header_is_read_a_byte_at_a_time_and_not_before_it_is_whole(name: str) -> None:
    data, header = READ[name]
    pieces = [data[i : i + 1] for i in range(len(data))]
    assert fed(pieces[:-1]) is None
    assert fed(pieces) == (header, b"")
    for location in range(len(data)):
        assert fed([data[:location], data[location:] + b"rest"]) == (header, b"rest")


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_header_is_refused_with_the_reason(data: bytes) -> None:
    reason = fed([data])
    assert isinstance(reason, str)
    assert reason.isprintable()
    assert fed([data[i : i + 1] for i in range(len(data))]) == reason


def test_what_cannot_become_a_header_is_refused_at_once() -> None:
    assert isinstance(fed([b"h"]), str)
    assert isinstance(fed([b"PROXY_"]), str)
    assert isinstance(fed([b"PROXY UNKNOWN \n"]), str)
    assert isinstance(fed([version_2(0x31, 0x11, b"", 12)]), str)
    assert fed([b"PROXY UNKNOWN " + b"x" * 92]) is None


def test_extensions_are_counted_and_not_kept() -> None:
    readers = [HeaderReader() for _ in range(100)]
    start = version_2(PROXY, 0x11, BLOCK_4, 65535)
    tracemalloc.start()
    try:
        for reader in readers:
            assert reader.feed(start + LONG[:60_000]) is None
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100 * 2000
    assert readers[0].feed(LONG[60_000:] + b"rest") == (FOUR, b"rest")


PLACES = st.lists(st.integers(0, 2**17), max_size=20)


@given(name=st.sampled_from([*READ]), rest=st.binary(max_size=50), places=PLACES)
def test_however_a_header_is_cut_the_result_is_the_same(
    name: str, rest: bytes, places: list[int]
) -> None:
    data, header = READ[name]
    assert fed(cut(data + rest, places)) == (header, rest)


@settings(max_examples=500)
@given(
    start=st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE]),
    more=st.one_of(st.binary(max_size=300), st.text(" .:0123456789af\r\n").map(str.encode)),
    places=PLACES,
)
@example(start=SIGNATURE, more=b"\x21\x11\x00\x0c", places=[])
def test_whatever_comes_is_a_header_or_is_not_or_needs_more_and_cuts_do_not_matter(
    start: bytes, more: bytes, places: list[int]
) -> None:
    data = start + more
    assert fed(cut(data, places)) == fed([data])


@settings(max_examples=500)
@given(
    name=st.sampled_from([*READ]),
    changes=st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=2)), max_size=3),
    places=PLACES,
)
def test_a_header_with_a_few_bytes_changed_is_read_or_refused(
    name: str, changes: list[tuple[int, bytes]], places: list[int]
) -> None:
    data, _ = READ[name]
    for location, new in changes:
        data = data[:location] + new + data[location + 1 :]
    assert fed(cut(data, places)) == fed([data])
