"""Version 2: sixteen bytes, then as many more as they say.

Those begin with the addresses. What follows are extensions (TLVs), which are skipped unread: the
checksum among them is one that a receiver may leave unchecked.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from types import MappingProxyType

from sockd.model.address import Address
from sockd.model.ip import ip_of
from sockd.proxy.header import NOBODY, Header, MalformedHeader

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

_START = struct.Struct("!12sBBH")
_LOCAL = 0x20
_PROXY = 0x21
_FAMILIES = 4
_PROTOCOLS = 3
"""UNSPEC, INET, INET6, UNIX; and UNSPEC, STREAM, DGRAM."""

_BLOCKS = MappingProxyType({1: struct.Struct("!4s4sHH"), 2: struct.Struct("!16s16sHH")})
"""The addresses of INET and INET6; of the others nothing is read."""


def parse_v2(start: bytes) -> tuple[Header, int] | None:
    """Return the header that a stream starts with and its length; ``None``: more is needed.

    The length may be more than what is there by now.

    :raise MalformedHeader: if the specification does not allow it.
    """
    if len(start) < _START.size:
        return None
    _, command, sort, length = _START.unpack_from(start)
    if command not in (_LOCAL, _PROXY):
        message = "it is not version 2, or its command is neither LOCAL nor PROXY"
        raise MalformedHeader(message)
    family, protocol = divmod(sort, 16)
    if command == _LOCAL:
        return NOBODY, _START.size + length
    if family >= _FAMILIES or protocol >= _PROTOCOLS:
        message = "its address family or its protocol is none that is known"
        raise MalformedHeader(message)
    header = _addresses(start, length, _BLOCKS.get(family) if protocol else None)
    return None if header is None else (header, _START.size + length)


def _addresses(start: bytes, length: int, block: struct.Struct | None) -> Header | None:
    """Return what a block of addresses says; ``None``: more is needed."""
    if block is None:
        return NOBODY
    if length < block.size:
        message = "it is too short for its addresses"
        raise MalformedHeader(message)
    if len(start) < _START.size + block.size:
        return None
    source, destination, source_port, destination_port = block.unpack_from(start, _START.size)
    return Header(
        Address(_v2_host(source), source_port), Address(_v2_host(destination), destination_port)
    )


def _v2_host(packed: bytes) -> str:
    return str(ip_of(str(ip_address(packed))))
