"""The names in ``Host`` that are answered: protection against DNS rebinding. Pure.

A page from elsewhere can make a browser ask this machine under the page's own name, once that
name resolves to a loopback address, and then read the answer. Such a request still names the
page's host, so whoever names a host that is not this one is turned away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

_AUTHORITY = re.compile(
    r"(?P<host>\[(?P<ipv6>[0-9A-Fa-f:.]+)(?:%[A-Za-z0-9._~%-]+)?\]|[A-Za-z0-9._~-]+)(?::[0-9]*)?"
)


def canonical(host: str) -> str:
    """Return a host in the one form in which two can be compared.

    That is without brackets, a trailing dot or a scope, in lower case, an IPv6 address in its
    shortest text, and an IPv4 address that is mapped into IPv6 as IPv4.
    """
    text = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    return str(_host_address(text) or text)


def host_of(authority: str) -> str:
    """Return the canonical host of ``HOST`` or ``HOST:PORT`` (RFC 9110, 7.2).

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

    :param names: names and addresses beside ``localhost`` and the loopback addresses.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset({"localhost", *map(canonical, names)})

    def knows(self, host: str, arrived_at: str) -> bool:
        """Return whether a canonical host is this one.

        :param arrived_at: the address that the client connected to; empty if it has none.
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
