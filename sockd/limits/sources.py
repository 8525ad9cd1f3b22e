"""The state of each source: its number of connections, and its token buckets.

A source is an IPv4 address or an IPv6 /64, since one host usually has a whole /64.

Both tables are bounded. Counts exist only for sources with open connections. Token buckets are kept
for the :data:`MOST_SOURCES` most recent sources; the least recent one is evicted. A source that was
evicted starts with a full bucket again. An attacker with more addresses than that can exceed the
rate per source; the total rate of the service still applies.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from sockd.model.address import Address
from sockd.model.ip import ip_of

MOST_SOURCES = 16_384
"""The maximum number of sources in an :class:`LRUCache`."""

Source: TypeAlias = str | int
T = TypeVar("T")


def source_of(peer: Address) -> Source | None:
    """Return the source of a peer; ``None`` if it has no IP address."""
    if peer.port is None:
        return None
    if ":" not in peer.host:
        return peer.host
    address = ip_of(peer.host)
    return str(address) if address.version == 4 else int(address) >> 64


class Counts:
    """The number of open connections of each source."""

    def __init__(self) -> None:
        self._counts: dict[Source, int] = {}

    def __len__(self) -> int:
        """Return the number of sources with open connections."""
        return len(self._counts)

    def of(self, source: Source) -> int:
        """Return the number of open connections of a source."""
        return self._counts.get(source, 0)

    def add(self, source: Source) -> None:
        """Count a new connection."""
        self._counts[source] = self._counts.get(source, 0) + 1

    def remove(self, source: Source) -> None:
        """Count a closed connection."""
        left = self._counts[source] - 1
        if left:
            self._counts[source] = left
        else:
            del self._counts[source]


class LRUCache(Generic[T]):
    """A cache with one value per source, which evicts the least recently used.

    :param make: returns the value of a new source, given the time.
    :param most: the maximum number of sources.
    """

    def __init__(self, make: Callable[[float], T], most: int = MOST_SOURCES) -> None:
        self._make = make
        self._most = most
        self._found: OrderedDict[Source, T] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self._found)

    def of(self, source: Source, now: float) -> T:
        """Return the value of a source, which becomes the most recently used."""
        found = self._found.get(source)
        if found is not None:
            self._found.move_to_end(source)
            return found
        if len(self._found) >= self._most:
            self._found.popitem(last=False)
        made = self._found[source] = self._make(now)
        return made
