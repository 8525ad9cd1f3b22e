"""The accepted names in ``Host``: protection against DNS rebinding. Pure.

A page of another site can make a browser send requests to this machine under the page's own name,
once that name resolves to a loopback address, and read the answers. Such a request still names the
page's host in ``Host``, so requests with an unknown host are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

_AUTHORITY = re.compile(
    r"(?P<host>\[(?P<ipv6>[0-9A-Fa-f:.]+)(?:%[A-Za-z0-9._~%-]+)?\]|[A-Za-z0-9._~-]+)(?::[0-9]*)?"
)


def canonical(host: str) -> str:
    """Return the canonical form of a host, for comparison.

    It is in lower case, without brackets, trailing dot and scope. IPv6 addresses have their
    shortest form, and IPv4-mapped ones are IPv4.
    """
    text = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    return str(_host_address(text) or text)


def host_of(authority: str) -> str:
    """Return the canonical host of ``HOST`` or ``HOST:PORT`` (RFC 9110, section 7.2).

    :raise ValueError: if it is neither.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        message = "no host"
        raise ValueError(message)
    if match["ipv6"]:
        IPv6Address(match["ipv6"])
    return canonical(match["host"])


class KnownHosts:
    """The hosts that requests may name.

    :param names: names and addresses in addition to ``localhost`` and the loopback addresses.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset({"localhost", *map(canonical, names)})

    def knows(self, host: str, arrived_at: str) -> bool:
        """Return whether a canonical host may be named.

        :param arrived_at: the local address of the connection; empty if it has none.
        """
        if host in self._names or host == canonical(arrived_at):
            return True
        address = _host_address(host)
        return address is not None and address.is_loopback


def _host_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
