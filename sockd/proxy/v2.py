"""Version 2: sixteen bytes, then as many more as they say.

Those begin with the addresses. What follows are extensions (TLVs), which are skipped unread: the
checksum among them is one that a receiver may leave unchecked.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from types import MappingProxyType

from sockd.address import Address
from sockd.limits.access import ip_of
from sockd.proxy.header import NOBODY, Header, MalformedHeader

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

_START = struct.Struct("!12sBBH")
_LOCAL = 0x20
_PROXY = 0x21
_FAMILIES = 4
_PROTOCOLS = 3
"""UNSPEC, INET, INET6, UNIX; and UNSPEC, STREAM, DGRAM."""

_BLOCKS = MappingProxyType({1: struct.Struct("!4s4sHH"), 2: struct.Struct("!16s16sHH")})
"""The addresses of INET and INET6; of the others nothing is read."""


def parsed(start: bytes) -> tuple[Header, int] | None:
    """Return the header that a stream starts with and its length; ``None``: more is needed.

    The length may be more than what is there by now.

    :raise MalformedHeader: if the specification does not allow it.
    """
    if len(start) < _START.size:
        return None
    _, command, sort, length = _START.unpack_from(start)
    if command not in (_LOCAL, _PROXY):
        wrong = "it is not version 2, or its command is neither LOCAL nor PROXY"
        raise MalformedHeader(wrong)
    family, protocol = divmod(sort, 16)
    if command == _LOCAL:
        return NOBODY, _START.size + length
    if family >= _FAMILIES or protocol >= _PROTOCOLS:
        wrong = "its address family or its protocol is none that is known"
        raise MalformedHeader(wrong)
    header = _addresses(start, length, _BLOCKS.get(family) if protocol else None)
    return None if header is None else (header, _START.size + length)


def _addresses(start: bytes, length: int, block: struct.Struct | None) -> Header | None:
    """Return what a block of addresses says; ``None``: more is needed."""
    if block is None:
        return NOBODY
    if length < block.size:
        wrong = "it is too short for its addresses"
        raise MalformedHeader(wrong)
    if len(start) < _START.size + block.size:
        return None
    source, destination, source_port, destination_port = block.unpack_from(start, _START.size)
    return Header(
        Address(_host(source), source_port), Address(_host(destination), destination_port)
    )


def _host(packed: bytes) -> str:
    return str(ip_of(str(ip_address(packed))))
