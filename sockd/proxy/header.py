"""The contents of a PROXY header, and the error for a malformed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.model.address import Address


@dataclass(frozen=True, slots=True)
class Header:
    """The addresses of the connection that a load balancer relays.

    :ivar source: the client; ``None`` for a connection of the load balancer itself, such as a
        health check, or if the header has no addresses.
    :ivar destination: the address that the client connected to; ``None`` if the source is.
    """

    source: Address | None = None
    destination: Address | None = None


NO_ADDRESSES = Header()
"""A header without addresses: those of the connection itself apply."""


class MalformedHeader(ValueError):  # noqa: N818 - named like InvalidValue
    """The input cannot be the start of a valid PROXY header."""
