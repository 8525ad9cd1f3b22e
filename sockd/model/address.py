"""Addresses in the ledger's form: a host and a port, or the path of a unix socket."""

from __future__ import annotations

from dataclasses import dataclass

from sockd.support.text import escaped, printable

ALL_IPV4 = "0.0.0.0"  # noqa: S104 - only the name of the address; nothing is bound here
ALL_IPV6 = "::"
"""The wildcard addresses."""

_ABSTRACT = b"\0"
_PATHS = (b"/", b"./", b"../")
_MAX_NAMED = 3
"""The maximum number of addresses of each family that are shown."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of one end of a connection.

    :ivar host: an IP address, with its scope if it has one (``fe80::1%eth0``), or the name of a
        unix socket in the form of :func:`unix_address`, empty for a socket without a name.
    :ivar port: ``None`` for unix sockets.
    """

    host: str
    port: int | None = None

    @property
    def is_for_all(self) -> bool:
        """Whether it is a wildcard address."""
        return self.host in (ALL_IPV4, ALL_IPV6)

    def __str__(self) -> str:
        """Return ``127.0.0.1:80``, ``[::1]:80``, or the path as printable text."""
        if self.port is None:
            return printable(self.host) or "a unix client"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def unix_address(name: bytes) -> Address:
    r"""Return the address of a unix socket (unix(7)) as printable text.

    The text cannot be confused with an IP address. A path starts with ``/``, ``./`` or ``../``; if
    it does not, ``./`` is prepended. The name of an abstract socket starts with ``\x00``. See
    :func:`~sockd.support.text.escaped`.
    """
    is_marked = not name or name.startswith((*_PATHS, _ABSTRACT))
    return Address(escaped(name if is_marked else b"./" + name))


def is_unix_name(text: str) -> bool:
    """Return whether a text has the form of :func:`unix_address`."""
    return not text or text.startswith(tuple(map(escaped, (*_PATHS, _ABSTRACT))))


@dataclass(frozen=True, slots=True)
class OwnHosts:
    """The addresses at which other machines reach this one, the most likely first.

    :ivar is_dual: whether a socket that is bound to ``::`` accepts IPv4 too.
    """

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    is_dual: bool = False

    def behind(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a wildcard host; none for any other host."""
        ipv4, ipv6 = self.ipv4[:_MAX_NAMED], self.ipv6[:_MAX_NAMED]
        if host == ALL_IPV4:
            return ipv4
        if host == ALL_IPV6:
            return (*ipv4, *ipv6) if self.is_dual else ipv6
        return ()
