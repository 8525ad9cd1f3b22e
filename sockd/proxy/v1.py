"""Version 1: one line of text, such as ``PROXY TCP4 192.0.2.1 198.51.100.1 50412 443``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from types import MappingProxyType
from typing import TypeAlias

from sockd.address import Address
from sockd.limits.access import ip_of
from sockd.proxy.header import NOBODY, Header, MalformedHeader

SIGNATURE = b"PROXY "

Family: TypeAlias = type[IPv4Address] | type[IPv6Address]

LONGEST = 107
"""How long the line may be with its CRLF, in bytes."""

_UNKNOWN = re.compile(rb"PROXY UNKNOWN( .*)?", re.DOTALL)
_KNOWN = re.compile(rb"PROXY (TCP[46]) ([!-~]+) ([!-~]+) ([0-9]{1,5}) ([0-9]{1,5})")
_FAMILIES: Mapping[bytes, Family] = MappingProxyType({b"TCP4": IPv4Address, b"TCP6": IPv6Address})


def parsed(start: bytes) -> tuple[Header, int] | None:
    """Return the header that a stream starts with and its length; ``None``: more is needed.

    :raise MalformedHeader: if the line is not exactly what the specification allows.
    """
    end = start.find(b"\n", 0, LONGEST) + 1
    if not end:
        if len(start) >= LONGEST:
            wrong = f"the line does not end within {LONGEST} bytes"
            raise MalformedHeader(wrong)
        return None
    line = start[:end]
    if not line.endswith(b"\r\n"):
        wrong = "the line ends without a carriage return"
        raise MalformedHeader(wrong)
    return _header(line[:-2]), end


def _header(line: bytes) -> Header:
    if _UNKNOWN.fullmatch(line):
        return NOBODY
    found = _KNOWN.fullmatch(line)
    if found is None:
        wrong = "the line is not PROXY, a protocol, two addresses and two ports"
        raise MalformedHeader(wrong)
    family = _FAMILIES[found[1]]
    return Header(
        Address(_host(found[2], family), _port(found[4])),
        Address(_host(found[3], family), _port(found[5])),
    )


def _host(text: bytes, family: Family) -> str:
    """Return an address as the ledger writes it; a scope is no part of one here."""
    try:
        if b"%" not in text:
            return str(ip_of(str(family(text.decode("ascii")))))
    except AddressValueError:
        pass
    wrong = "an address is not one of the protocol's family"
    raise MalformedHeader(wrong)


def _port(digits: bytes) -> int:
    number = int(digits)
    if number > 65535 or str(number).encode("ascii") != digits:
        wrong = "a port is no number from 0 to 65535, without leading zeros"
        raise MalformedHeader(wrong)
    return number
