"""UDP anti-reflection rules.

The source address of a datagram can be forged. The answer is then sent to the victim with that
address, and two services that answer each other form an endless loop (CERT CA-1996-01, US-CERT
TA14-017A).
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
"""The rules by name. The name of a rule is the reason for its refusals."""

REFLECTORS = frozenset(
    {
        *(7, 13, 17, 19, 37),  # echo, daytime, qotd, chargen, time
        *(53, 69, 111, 123, 137),  # DNS, TFTP, portmap, NTP, NetBIOS
        *(161, 389, 520, 1900, 3702),  # SNMP, CLDAP, RIP, SSDP, WS-Discovery
        *(5353, 11211),  # mDNS, memcached
    }
)
"""Ports of services that answer unauthenticated datagrams, from the two alerts."""

_LIMITED_BROADCAST = IPv4Address("255.255.255.255")


class Guard:
    """The anti-reflection rules of a service.

    :param unguarded: the names of the rules that are disabled.
    :param own_ports: returns the ports of this daemon's own datagram services.
    """

    def __init__(
        self, unguarded: Collection[str], own_ports: Callable[[], Collection[int | None]]
    ) -> None:
        self._on = {reason for name, reason in GUARDS.items() if name not in unguarded}
        self._own_ports = own_ports

    def refusal(self, peer: Address, is_for_many: bool) -> RefusalReason | None:
        """Return why a peer is refused, or ``None`` if it is answered.

        :param is_for_many: whether its datagram was sent to a multicast or broadcast address.
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
    return address.is_multicast or address == _LIMITED_BROADCAST
