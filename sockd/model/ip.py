"""IP addresses and networks in canonical form: IPv4-mapped IPv6 addresses become IPv4."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

IPNetwork: TypeAlias = IPv4Network | IPv6Network
IPAddress: TypeAlias = IPv4Address | IPv6Address

_MAPPED_PREFIX = "::ffff:"
_MAPPED = IPv6Network("::ffff:0.0.0.0/96")


def normalised(host: str) -> str:
    """Return an IPv4-mapped address as IPv4, any other unchanged (RFC 4291, 2.5.5.2)."""
    if host.startswith(_MAPPED_PREFIX) and "." in host:
        return host.removeprefix(_MAPPED_PREFIX)
    return host


def ip_of(host: str) -> IPAddress:
    """Return an address without its scope, and an IPv4-mapped one as IPv4.

    :raise ValueError: if it is not an IP address.
    """
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def plain_network(network: IPNetwork) -> IPNetwork:
    """Return a network of IPv4-mapped addresses as IPv4, any other unchanged."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        number = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((number, network.prefixlen - _MAPPED.prefixlen))
    return network
