"""The limits of a service: what they are, and how they are read.

Each may stand in ``[sockd]`` too, where it is the default of all services.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from sockd.config.values import allowance, byte_allowance, choice, duration, integer, size
from sockd.errors import Unfit
from sockd.limits.access import IPNetwork, plain_network
from sockd.limits.buckets import UNLIMITED, Allowance
from sockd.limits.guards import GUARDS
from sockd.text import quoted

if TYPE_CHECKING:
    from sockd.config.options import Options
    from sockd.errors import Place

_SOURCE_PACKETS = Allowance(1000, 1.0)
_SOURCE_BYTES = Allowance(10 * 1024 * 1024, 1.0)
_TOTAL_PACKETS = Allowance(20_000, 1.0)
_TOTAL_BYTES = Allowance(100 * 1024 * 1024, 1.0)
"""Out of the way of people and of most programs, and the end of a flood."""


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What one service grants its clients. Durations are in seconds; 0 means no limit.

    :ivar allow: the networks whose clients may come in; none: all may.
    :ivar deny: the networks whose clients may not.
    :ivar per_source: how many connections one source has at once.
    :ivar connect_rate: how many connections one source begins.
    :ivar total_rate: how many connections all of them begin.
    :ivar max_lifetime: close a connection after this long.
    :ivar max_bytes: close a connection after so many received bytes.
    :ivar source_packets: how many datagrams of one source are answered.
    :ivar source_bytes: how many bytes in datagrams of one source are answered.
    :ivar total_packets: how many datagrams are answered in all.
    :ivar total_bytes: how many bytes in datagrams are answered in all.
    :ivar unguarded: which of :data:`~sockd.limits.guards.GUARDS` are switched off.
    """

    allow: tuple[IPNetwork, ...] = ()
    deny: tuple[IPNetwork, ...] = ()
    per_source: int = 0
    connect_rate: Allowance = UNLIMITED
    total_rate: Allowance = UNLIMITED
    max_lifetime: float = 0.0
    max_bytes: int = 0
    source_packets: Allowance = _SOURCE_PACKETS
    source_bytes: Allowance = _SOURCE_BYTES
    total_packets: Allowance = _TOTAL_PACKETS
    total_bytes: Allowance = _TOTAL_BYTES
    unguarded: tuple[str, ...] = ()


def read_limits(options: Options, default: LimitsSpec) -> LimitsSpec:
    """Return the limits of a section; what it does not say is as in the default ones."""
    return LimitsSpec(
        allow=options.values_or("allow", network, default.allow),
        deny=options.values_or("deny", network, default.deny),
        per_source=options.value_or("per_source", integer(0, 1_000_000), default.per_source),
        connect_rate=options.value_or("connect_rate", allowance, default.connect_rate),
        total_rate=options.value_or("total_rate", allowance, default.total_rate),
        max_lifetime=options.value_or("max_lifetime", duration, default.max_lifetime),
        max_bytes=options.value_or("max_bytes", size, default.max_bytes),
        source_packets=options.value_or("source_packets", allowance, default.source_packets),
        source_bytes=options.value_or("source_bytes", byte_allowance, default.source_bytes),
        total_packets=options.value_or("total_packets", allowance, default.total_packets),
        total_bytes=options.value_or("total_bytes", byte_allowance, default.total_bytes),
        unguarded=options.values_or("unguarded", guard, default.unguarded),
    )


def guard(text: str, place: Place) -> str:
    """Return the name of a guard.

    :raise Unfit: if there is none of that name.
    """
    return choice(*GUARDS)(text)


def network(text: str, place: Place) -> IPNetwork:
    """Return the network of an address or a CIDR prefix.

    :raise Unfit: with what is wrong.
    """
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        wrong = f"{quoted(text)} is no address and no network"
        raise Unfit(wrong, "such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32") from None
    try:
        return plain_network(ip_network(text))
    except ValueError:
        wrong = f"{quoted(text)} names a host inside of a network"
        raise Unfit(wrong, f"{meant}, or the address without the /") from None
