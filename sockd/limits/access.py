"""Access lists: ``allow`` and ``deny``, where the most specific network decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from sockd.model.address import Address
from sockd.model.ip import IPNetwork, ip_of, plain_network


class AccessList:
    """A list of allowed and a list of denied networks.

    The longest prefix that contains an address decides. If ``allow`` and ``deny`` contain the same
    network, ``deny`` decides. An address that is in neither list is denied if the ``allow`` list is
    not empty.
    """

    def __init__(self, allow: Iterable[IPNetwork], deny: Iterable[IPNetwork]) -> None:
        allowed, denied = tuple(allow), tuple(deny)
        self._otherwise = not allowed
        self._verdicts = _by_prefix(allowed, denied)
        self.is_open = not (allowed or denied)

    def admits(self, peer: Address) -> bool:
        """Return whether a peer is allowed; a peer without an IP address always is."""
        if self.is_open or peer.port is None:
            return True
        address = ip_of(peer.host)
        bits, number = address.max_prefixlen, int(address)
        for length, verdicts in self._verdicts[address.version]:
            verdict = verdicts.get(number >> (bits - length))
            if verdict is not None:
                return verdict
        return self._otherwise


_Verdicts: TypeAlias = list[tuple[int, dict[int, bool]]]


def _by_prefix(
    allowed: tuple[IPNetwork, ...], denied: tuple[IPNetwork, ...]
) -> dict[int, _Verdicts]:
    """Return the verdicts of each IP version by prefix length, longest first, and by prefix."""
    found: dict[int, dict[int, dict[int, bool]]] = {4: {}, 6: {}}
    for networks, verdict in ((allowed, True), (denied, False)):
        for network in map(plain_network, networks):
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            found[network.version].setdefault(network.prefixlen, {})[number] = verdict
    return {version: sorted(one.items(), reverse=True) for version, one in found.items()}
