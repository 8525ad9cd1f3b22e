"""Version 1: one line of text, such as ``PROXY TCP4 192.0.2.1 198.51.100.1 50412 443``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from types import MappingProxyType
from typing import TypeAlias

from sockd.model.address import Address
from sockd.model.ip import ip_of
from sockd.proxy.header import NO_ADDRESSES, Header, MalformedHeader

V1_SIGNATURE = b"PROXY "

Family: TypeAlias = type[IPv4Address] | type[IPv6Address]

MAX_LINE = 107
"""The maximum length of the line with its CRLF, in bytes."""

_UNKNOWN = re.compile(rb"PROXY UNKNOWN( .*)?", re.DOTALL)
_KNOWN = re.compile(rb"PROXY (TCP[46]) ([!-~]+) ([!-~]+) ([0-9]{1,5}) ([0-9]{1,5})")
_FAMILIES: Mapping[bytes, Family] = MappingProxyType({b"TCP4": IPv4Address, b"TCP6": IPv6Address})


def parse_v1(start: bytes) -> tuple[Header, int] | None:
    """Return the header and its length in bytes; ``None`` if more input is needed.

    :raise MalformedHeader: if the line does not conform to the specification.
    """
    end = start.find(b"\n", 0, MAX_LINE) + 1
    if not end:
        if len(start) >= MAX_LINE:
            message = f"the line does not end within {MAX_LINE} bytes"
            raise MalformedHeader(message)
        return None
    line = start[:end]
    if not line.endswith(b"\r\n"):
        message = "the line ends without a carriage return"
        raise MalformedHeader(message)
    return _header(line[:-2]), end


def _header(line: bytes) -> Header:
    if _UNKNOWN.fullmatch(line):
        return NO_ADDRESSES
    found = _KNOWN.fullmatch(line)
    if found is None:
        message = "the line is not PROXY, a protocol, two addresses and two ports"
        raise MalformedHeader(message)
    family = _FAMILIES[found[1]]
    return Header(
        Address(_v1_host(found[2], family), _port(found[4])),
        Address(_v1_host(found[3], family), _port(found[5])),
    )


def _v1_host(text: bytes, family: Family) -> str:
    """Return an address in the ledger's form; a scope is not allowed."""
    try:
        if b"%" not in text:
            return str(ip_of(str(family(text.decode("ascii")))))
    except AddressValueError:
        pass
    message = "an address is not one of the protocol's family"
    raise MalformedHeader(message)


def _port(digits: bytes) -> int:
    number = int(digits)
    if number > 65535 or str(number).encode("ascii") != digits:
        message = "a port is not a number from 0 to 65535 without leading zeros"
        raise MalformedHeader(message)
    return number
