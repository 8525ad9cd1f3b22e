"""Version 2: a fixed part of 16 bytes, then addresses and extensions of the given length.

Extensions (TLVs) are skipped. The specification does not require the receiver to verify the
checksum among them.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from types import MappingProxyType

from sockd.model.address import Address
from sockd.model.ip import ip_of
from sockd.proxy.header import NO_ADDRESSES, Header, MalformedHeader

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

_START = struct.Struct("!12sBBH")
_LOCAL = 0x20
_PROXY = 0x21
_FAMILIES = 4
_PROTOCOLS = 3
"""UNSPEC, INET, INET6, UNIX; and UNSPEC, STREAM, DGRAM."""

_BLOCKS = MappingProxyType({1: struct.Struct("!4s4sHH"), 2: struct.Struct("!16s16sHH")})
"""The address blocks of INET and INET6; other families are not read."""


def parse_v2(start: bytes) -> tuple[Header, int] | None:
    """Return the header and its length in bytes; ``None`` if more input is needed.

    The length may exceed that of ``start``: the rest of the header is skipped.

    :raise MalformedHeader: if the header does not conform to the specification.
    """
    if len(start) < _START.size:
        return None
    _, command, sort, length = _START.unpack_from(start)
    if command not in (_LOCAL, _PROXY):
        message = "it is not version 2, or its command is neither LOCAL nor PROXY"
        raise MalformedHeader(message)
    family, protocol = divmod(sort, 16)
    if command == _LOCAL:
        return NO_ADDRESSES, _START.size + length
    if family >= _FAMILIES or protocol >= _PROTOCOLS:
        message = "its address family or its protocol is unknown"
        raise MalformedHeader(message)
    header = _addresses(start, length, _BLOCKS.get(family) if protocol else None)
    return None if header is None else (header, _START.size + length)


def _addresses(start: bytes, length: int, block: struct.Struct | None) -> Header | None:
    """Return the header with the addresses of a block; ``None`` if more input is needed."""
    if block is None:
        return NO_ADDRESSES
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
