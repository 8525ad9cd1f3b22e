"""Which addresses may come in: the networks of ``allow`` and ``deny``, the most specific wins."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from sockd.address import Address

IPNetwork: TypeAlias = IPv4Network | IPv6Network
IPAddress: TypeAlias = IPv4Address | IPv6Address

_MAPPED = IPv6Network("::ffff:0.0.0.0/96")


class AccessList:
    """Two lists of networks.

    The longest prefix that holds an address decides; where ``allow`` and ``deny`` name the very
    same network, ``deny`` does. An address that is in neither is refused if there is an ``allow``
    list, and admitted if there is none.
    """

    def __init__(self, allow: Iterable[IPNetwork], deny: Iterable[IPNetwork]) -> None:
        allowed, denied = tuple(allow), tuple(deny)
        self._otherwise = not allowed
        self._verdicts = _by_prefix(allowed, denied)
        self.is_open = not (allowed or denied)

    def admits(self, peer: Address) -> bool:
        """Return whether a peer may come in; one without an IP address always may."""
        if self.is_open or peer.port is None:
            return True
        address = ip_of(peer.host)
        bits, number = address.max_prefixlen, int(address)
        for length, verdicts in self._verdicts[address.version]:
            verdict = verdicts.get(number >> (bits - length))
            if verdict is not None:
                return verdict
        return self._otherwise


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


_Verdicts: TypeAlias = list[tuple[int, dict[int, bool]]]


def _by_prefix(
    allowed: tuple[IPNetwork, ...], denied: tuple[IPNetwork, ...]
) -> dict[int, _Verdicts]:
    """Return for each version the lengths of the prefixes, longest first, with who has them."""
    found: dict[int, dict[int, dict[int, bool]]] = {4: {}, 6: {}}
    for networks, verdict in ((allowed, True), (denied, False)):
        for network in map(plain_network, networks):
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            found[network.version].setdefault(network.prefixlen, {})[number] = verdict
    return {version: sorted(one.items(), reverse=True) for version, one in found.items()}
