"""Addresses as people and the ledger know them: a host and a port, or a path."""

from __future__ import annotations

from dataclasses import dataclass

from sockd.text import printable

ALL_IPV4 = "0.0.0.0"  # noqa: S104 - what it is called; nothing is bound here
ALL_IPV6 = "::"
"""The addresses that stand for every address of this machine."""

_MAPPED = "::ffff:"


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a connection.

    :ivar host: an IP address, with its scope where it has one (``fe80::1%eth0``); the path of
        a unix socket, which is empty for a client without a name.
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


def normalised(host: str) -> str:
    """Return an IPv4 address that came in through an IPv6 socket as IPv4 (RFC 4291, 2.5.5.2)."""
    if host.startswith(_MAPPED) and "." in host:
        return host.removeprefix(_MAPPED)
    return host
