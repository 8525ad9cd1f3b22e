"""How long a source must wait before a password of its is judged. Pure: time is handed in.

Each attempt counts as failed until it has succeeded, so that many at once gain nothing. The waits
double, and a source that has too many attempts waiting already is turned away unheard. The table
is bounded, and a source that stays quiet is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from sockd.limits import sources
from sockd.model.address import Address

FIRST_WAIT = 0.5
"""How long the second attempt of a source waits after the first, in seconds."""

LONGEST_WAIT = 8.0
"""What lies between two attempts of a source at most, in seconds."""

LONGEST_QUEUE = 30.0
"""An attempt that would have to wait longer than this, in seconds, is not judged at all."""

SOURCES = 1000
"""How many sources are remembered."""

_MEMORY = 600.0
"""For how many seconds after its last attempt."""


@dataclass(slots=True)
class _Source:
    """What is known of a source.

    :ivar failures: how many attempts did not succeed, or have not yet.
    :ivar free: when the next one may be judged.
    """

    failures: int = 0
    free: float = 0.0


class Attempts:
    """The sources of passwords, and when each may try again.

    :param clock: returns a time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def reserve(self, source: str) -> float | None:
        """Enter an attempt; return how long it has to wait, ``None`` if it is turned away."""
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
        """Enter that an attempt was right.

        :param forgives: whether those that failed before are forgotten with it. Somebody who may
            come in, but not everywhere, could else guess for ever in between.
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
    """Return what an address counts as, as for the limits; all unix clients are one source."""
    source = sources.source_of(address)
    if source is None:
        return "unix"
    return f"{IPv6Address(source << 64)}/64" if isinstance(source, int) else source
