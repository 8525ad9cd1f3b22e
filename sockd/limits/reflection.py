"""To whom a datagram service says nothing, as the answer could harm somebody else.

The sender of a datagram is easily made up. Whoever names a victim there has the answer sent to it,
and two services that answer each other never stop (CERT CA-1996-01, US-CERT TA14-017A).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv4Address
from types import MappingProxyType

from sockd.model.address import Address
from sockd.model.ip import ip_of
from sockd.model.reasons import RefusalReason

GUARDS = MappingProxyType(
    {
        str(reason): reason
        for reason in (
            RefusalReason.BROADCAST,
            RefusalReason.PORT_ZERO,
            RefusalReason.OWN_PORT,
            RefusalReason.REFLECTOR,
        )
    }
)
"""The guards by name; each has the name of the reason that it refuses for."""

REFLECTORS = frozenset(
    {
        *(7, 13, 17, 19, 37),  # echo, daytime, qotd, chargen, time
        *(53, 69, 111, 123, 137),  # DNS, TFTP, portmap, NTP, NetBIOS
        *(161, 389, 520, 1900, 3702),  # SNMP, CLDAP, RIP, SSDP, WS-Discovery
        *(5353, 11211),  # mDNS, memcached
    }
)
"""Ports of services that answer whoever asks, as the two alerts have them."""

_EVERYBODY = IPv4Address("255.255.255.255")


class Guard:
    """Looks at a peer before its first answer.

    :param unguarded: the names of the guards that are switched off.
    :param own_ports: returns the ports of this daemon's own datagram services.
    """

    def __init__(
        self, unguarded: Collection[str], own_ports: Callable[[], Collection[int | None]]
    ) -> None:
        self._on = {reason for name, reason in GUARDS.items() if name not in unguarded}
        self._own_ports = own_ports

    def refusal(self, peer: Address, is_for_many: bool) -> RefusalReason | None:
        """Return why a peer gets no answer; ``None`` if it may have one.

        :param is_for_many: whether it was a multicast or broadcast address that it asked.
        """
        if RefusalReason.BROADCAST in self._on and (is_for_many or _is_many(peer)):
            return RefusalReason.BROADCAST
        if RefusalReason.PORT_ZERO in self._on and peer.port == 0:
            return RefusalReason.PORT_ZERO
        if RefusalReason.OWN_PORT in self._on and peer.port in self._own_ports():
            return RefusalReason.OWN_PORT
        if RefusalReason.REFLECTOR in self._on and peer.port in REFLECTORS:
            return RefusalReason.REFLECTOR
        return None


def _is_many(peer: Address) -> bool:
    address = ip_of(peer.host)
    return address.is_multicast or address == _EVERYBODY
