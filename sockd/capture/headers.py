"""The length of the headers of a packet. Pure.

Unknown protocols count as payload: in doubt, a packet is cut too short, and payload is never kept.
"""

from __future__ import annotations

from types import MappingProxyType

MAX_HEADERS = 20 + 60 + 60
"""The longest possible headers, in bytes: a cooked link header, IPv4 and TCP with options."""

_TCP = 6
_UDP = 17
_UDP_HEADER = 8
_IPV4 = 0x0800
_IPV6 = 0x86DD
_IPV6_HEADER = 40
_ETHERNET = 1
_RAW = 101
_COOKED = 113
_COOKED_2 = 276

_LINKS = MappingProxyType({_ETHERNET: (14, 12), _COOKED: (16, 14), _COOKED_2: (20, 0)})
"""The length of the link header and the offset of its EtherType, by link type.

See https://www.tcpdump.org/linktypes.html.
"""


def headers_length(packet: bytes, link: int) -> int:
    """Return how many bytes at the beginning of a packet are headers, including TCP options.

    :param packet: the captured bytes, from the link header on.
    """
    if link == _RAW:
        return min(len(packet), _ip(packet, 0, packet[0] >> 4 if packet else 0))
    if link not in _LINKS:
        return 0
    length, spot = _LINKS[link]
    versions = {_IPV4: 4, _IPV6: 6}
    version = versions.get(int.from_bytes(packet[spot : spot + 2], "big"), 0)
    return min(len(packet), _ip(packet, length, version))


def _ip(packet: bytes, start: int, version: int) -> int:
    """Return the offset of the payload, for an IP header at an offset."""
    if version == 4 and len(packet) >= start + 20:
        end = start + (packet[start] & 0x0F) * 4
        is_later_fragment = int.from_bytes(packet[start + 6 : start + 8], "big") & 0x1FFF
        return end if is_later_fragment else _transport(packet, end, packet[start + 9])
    if version == 6 and len(packet) >= start + _IPV6_HEADER:
        return _transport(packet, start + _IPV6_HEADER, packet[start + 6])
    return start


def _transport(packet: bytes, start: int, protocol: int) -> int:
    """Return the offset of the payload, for a transport header at an offset."""
    if protocol == _UDP:
        return start + _UDP_HEADER
    if protocol == _TCP and len(packet) > start + 12:
        return start + (packet[start + 12] >> 4) * 4
    return start
