"""What is known of each source: how many connections it has, and what is left of its rate.

A source is an IPv4 address, or a /64 of IPv6: whoever has one address there has all of them.

Both tables are bounded, in two ways. Counts are kept of sources that have a connection open and
of no others, so there are never more of them than connections, and none is ever lost. Buckets are
kept of the sources that came last, :data:`MOST_SOURCES` of them at most. The one that came longest
ago makes room, and if it comes back its bucket is full: a source that can use more addresses than
that can have more than its rate, and then the rate of the whole service is what holds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from sockd.model.address import Address
from sockd.model.ip import ip_of

MOST_SOURCES = 16_384
"""How many sources a table remembers."""

Source: TypeAlias = str | int
T = TypeVar("T")


def source_of(peer: Address) -> Source | None:
    """Return what a peer counts as; ``None`` for one without an IP address."""
    if peer.port is None:
        return None
    if ":" not in peer.host:
        return peer.host
    address = ip_of(peer.host)
    return str(address) if address.version == 4 else int(address) >> 64


class Counts:
    """How many connections each source has open."""

    def __init__(self) -> None:
        self._counts: dict[Source, int] = {}

    def __len__(self) -> int:
        """Return how many sources have one."""
        return len(self._counts)

    def of(self, source: Source) -> int:
        """Return how many a source has."""
        return self._counts.get(source, 0)

    def add(self, source: Source) -> None:
        """Count one more."""
        self._counts[source] = self._counts.get(source, 0) + 1

    def remove(self, source: Source) -> None:
        """Count one less."""
        left = self._counts[source] - 1
        if left:
            self._counts[source] = left
        else:
            del self._counts[source]


class LRUCache(Generic[T]):
    """Something of each of the sources that came last.

    :param make: returns it for a source that is new, or was forgotten.
    """

    def __init__(self, make: Callable[[float], T], most: int = MOST_SOURCES) -> None:
        self._make = make
        self._most = most
        self._found: OrderedDict[Source, T] = OrderedDict()

    def __len__(self) -> int:
        """Return how many sources are remembered."""
        return len(self._found)

    def of(self, source: Source, now: float) -> T:
        """Return what is a source's; it is the last to be forgotten now."""
        found = self._found.get(source)
        if found is not None:
            self._found.move_to_end(source)
            return found
        if len(self._found) >= self._most:
            self._found.popitem(last=False)
        made = self._found[source] = self._make(now)
        return made
