"""Addresses as people and the ledger know them: a host and a port, or a path."""

from __future__ import annotations

from dataclasses import dataclass

from sockd.support.text import escaped, printable

ALL_IPV4 = "0.0.0.0"  # noqa: S104 - what it is called; nothing is bound here
ALL_IPV6 = "::"
"""The addresses that stand for every address of this machine."""

_ABSTRACT = b"\0"
_PATHS = (b"/", b"./", b"../")
_MAX_NAMED = 3
"""How many addresses of each family are named at most."""


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a connection.

    :ivar host: an IP address, with its scope where it has one (``fe80::1%eth0``); the name of
        a unix socket as :func:`unix_address` writes it, which is empty for a client without one.
    :ivar port: ``None`` for unix sockets.
    """

    host: str
    port: int | None = None

    @property
    def is_for_all(self) -> bool:
        """Whether it stands for every address of this machine."""
        return self.host in (ALL_IPV4, ALL_IPV6)

    def __str__(self) -> str:
        """Return ``127.0.0.1:80``, ``[::1]:80``, or the path; a client's own may hold anything."""
        if self.port is None:
            return printable(self.host) or "a unix client"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def unix_address(name: bytes) -> Address:
    r"""Return the address of a unix socket (unix(7)), in printable text that no IP address can be.

    A path starts with ``/``, ``./`` or ``../``; where it has none of them, ``./`` is added. The
    name of an abstract socket starts with ``\x00``. See :func:`~sockd.support.text.escaped`.
    """
    is_marked = not name or name.startswith((*_PATHS, _ABSTRACT))
    return Address(escaped(name if is_marked else b"./" + name))


def is_unix_name(text: str) -> bool:
    """Return whether a text is what :func:`unix_address` makes of some name."""
    return not text or text.startswith(tuple(map(escaped, (*_PATHS, _ABSTRACT))))


@dataclass(frozen=True, slots=True)
class OwnHosts:
    """The addresses under which other machines reach this one, the likeliest first.

    :ivar is_dual: whether what is bound to ``::`` is reached over IPv4 too.
    """

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    is_dual: bool = False

    def behind(self, host: str) -> tuple[str, ...]:
        """Return the addresses that a wildcard stands for; none for any other host."""
        ipv4, ipv6 = self.ipv4[:_MAX_NAMED], self.ipv6[:_MAX_NAMED]
        if host == ALL_IPV4:
            return ipv4
        if host == ALL_IPV6:
            return (*ipv4, *ipv6) if self.is_dual else ipv6
        return ()
