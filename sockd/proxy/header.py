"""What a PROXY header says, and what is said of one that makes no sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.model.address import Address


@dataclass(frozen=True, slots=True)
class Header:
    """Both ends of the connection that a balancer relays.

    :ivar source: the client; ``None`` where the balancer speaks for itself, as in a health check,
        or knows no address that could be told.
    :ivar destination: where the client had connected to; ``None`` along with the source.
    """

    source: Address | None = None
    destination: Address | None = None


NOBODY = Header()
"""A header without addresses: the ends of the connection are those that it has."""


class MalformedHeader(ValueError):  # noqa: N818 - said of bytes, as InvalidValue is of a text
    """What came is no PROXY header, and never will be one, whatever follows."""
