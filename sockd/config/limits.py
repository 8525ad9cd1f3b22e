"""The options that limit the clients of a service.

In ``[sockd]``, they set the defaults of all services.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from sockd.config.values import byte_rate_limit, choice, duration, integer, rate_limit, size
from sockd.errors import InvalidValue
from sockd.limits.reflection import GUARDS
from sockd.limits.spec import LimitsSpec
from sockd.model.ip import IPNetwork, plain_network
from sockd.support.text import quoted

if TYPE_CHECKING:
    from sockd.config.options import SectionOptions
    from sockd.errors import SourceLocation


def read_limits(options: SectionOptions, default: LimitsSpec) -> LimitsSpec:
    """Return the limits of a section; options that are not given have the default's values."""
    return LimitsSpec(
        allow=options.values_or("allow", network, default.allow),
        deny=options.values_or("deny", network, default.deny),
        per_source=options.value_or("per_source", integer(0, 1_000_000), default.per_source),
        connect_rate=options.value_or("connect_rate", rate_limit, default.connect_rate),
        total_rate=options.value_or("total_rate", rate_limit, default.total_rate),
        max_lifetime=options.value_or("max_lifetime", duration, default.max_lifetime),
        max_bytes=options.value_or("max_bytes", size, default.max_bytes),
        source_packets=options.value_or("source_packets", rate_limit, default.source_packets),
        source_bytes=options.value_or("source_bytes", byte_rate_limit, default.source_bytes),
        total_packets=options.value_or("total_packets", rate_limit, default.total_packets),
        total_bytes=options.value_or("total_bytes", byte_rate_limit, default.total_bytes),
        unguarded=options.values_or("unguarded", guard, default.unguarded),
    )


def guard(text: str, location: SourceLocation) -> str:
    """Parse the name of a guard.

    :raise InvalidValue: if the guard does not exist.
    """
    return choice(*GUARDS)(text)


def network(text: str, location: SourceLocation) -> IPNetwork:
    """Parse an address or a network in CIDR notation.

    :raise InvalidValue: if it is neither, or has host bits set.
    """
    try:
        masked = ip_network(text, strict=False)
    except ValueError:
        message = f"{quoted(text)} is not an address or a network"
        raise InvalidValue(message, "such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32") from None
    try:
        return plain_network(ip_network(text))
    except ValueError:
        message = f"{quoted(text)} has host bits set"
        raise InvalidValue(message, f"{masked}, or the address without a prefix length") from None
