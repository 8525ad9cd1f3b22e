"""The delay before a password of a source is checked. Pure: time is passed in.

Each attempt counts as failed until it has succeeded, so parallel attempts have no advantage. The
delay doubles with each failure. If too many attempts of a source are waiting, further ones are
refused without a check. The table is bounded, and inactive sources are evicted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from sockd.limits import sources
from sockd.model.address import Address

FIRST_WAIT = 0.5
"""The delay of a source's second attempt after the first, in seconds."""

LONGEST_WAIT = 8.0
"""The maximum delay between two attempts of a source, in seconds."""

LONGEST_QUEUE = 30.0
"""An attempt that would have to wait longer, in seconds, is refused without a check."""

SOURCES = 1000
"""The maximum number of sources in the table."""

_MEMORY = 600.0
"""The time after its last attempt when a source is evicted, in seconds."""


@dataclass(slots=True)
class _Source:
    """The state of a source.

    :ivar failures: the number of attempts that failed or have not been checked yet.
    :ivar free: when the next attempt may be checked.
    """

    failures: int = 0
    free: float = 0.0


class Attempts:
    """The sources of passwords, with the delay of each.

    :param clock: returns a time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def reserve(self, source: str) -> float | None:
        """Add an attempt. Return its delay in seconds, or ``None`` if it is refused."""
        now = self._clock()
        known = self._known(source, now)
        wait = max(0.0, known.free - now)
        if wait > LONGEST_QUEUE:
            return None
        known.failures += 1
        step = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(known.failures - 1, 10))
        known.free = now + wait + step
        return wait

    def succeeded(self, source: str, *, forgives: bool) -> None:
        """Record that an attempt was successful.

        :param forgives: whether this resets the failures of the source. It does for admins only:
            otherwise a viewer could log in between attempts to guess an admin's password.
        """
        known = self._sources.get(source)
        if known is not None and forgives:
            del self._sources[source]
        elif known is not None:
            known.failures = max(0, known.failures - 1)

    def _known(self, source: str, now: float) -> _Source:
        known = self._sources.pop(source, None)
        if known is None or now - known.free > _MEMORY:
            known = _Source()
        self._sources[source] = known
        while len(self._sources) > SOURCES:
            self._sources.popitem(last=False)
        return known


def attempt_source(address: Address) -> str:
    """Return the source of an address, as for the limits. All unix clients are one source."""
    source = sources.source_of(address)
    if source is None:
        return "unix"
    return f"{IPv6Address(source << 64)}/64" if isinstance(source, int) else source
