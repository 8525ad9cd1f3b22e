"""PROXY headers, built by hand."""

from __future__ import annotations

import struct
from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL = 0x20
PROXY = 0x21


def version_2(command: int, sort: int, block: bytes, length: int | None = None) -> bytes:
    """Return a version 2 header, with the length of its block unless another is given."""
    size = len(block) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, sort, size) + block


def addresses(source: str, source_port: int, destination: str, destination_port: int) -> bytes:
    """Return an address block with two IPv4 or two IPv6 addresses and their ports."""
    ends = ip_address(source).packed + ip_address(destination).packed
    return ends + struct.pack("!HH", source_port, destination_port)


def extension(kind: int, value: bytes) -> bytes:
    """Return an extension (TLV) of version 2."""
    return struct.pack("!BH", kind, len(value)) + value
