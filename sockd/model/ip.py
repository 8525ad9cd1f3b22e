"""IP addresses and networks in one spelling: IPv4 is IPv4 however it is written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

IPNetwork: TypeAlias = IPv4Network | IPv6Network
IPAddress: TypeAlias = IPv4Address | IPv6Address

_MAPPED_PREFIX = "::ffff:"
_MAPPED = IPv6Network("::ffff:0.0.0.0/96")


def normalised(host: str) -> str:
    """Return an IPv4 address that came in through an IPv6 socket as IPv4 (RFC 4291, 2.5.5.2)."""
    if host.startswith(_MAPPED_PREFIX) and "." in host:
        return host.removeprefix(_MAPPED_PREFIX)
    return host


def ip_of(host: str) -> IPAddress:
    """Return an address without its scope, and an IPv4 one as that however it is written."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def plain_network(network: IPNetwork) -> IPNetwork:
    """Return a network of IPv4 addresses as that however it is written (RFC 4291, 2.5.5.2)."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        number = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((number, network.prefixlen - _MAPPED.prefixlen))
    return network
