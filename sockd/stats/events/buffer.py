"""The last events of the ledger, numbered: what a reader who was away for a while can still get.

Pure. It is fed with every event, so all that it does there is to keep it.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from sockd.model.events import Event

SIZE = 8192
"""How many events are kept."""


class EventBuffer:
    """A bounded number of events.

    :ivar last: the number of the newest event; they count up from 1.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._events: deque[Event] = deque(maxlen=size)
        self.last = 0

    @property
    def start(self) -> int:
        """The number after which all events are still here."""
        return self.last - len(self._events)

    def append(self, event: Event) -> None:
        """Keep an event, and forget the oldest if there are too many."""
        self.last += 1
        self._events.append(event)

    def between(self, after: int, last: int) -> list[Event]:
        """Return the events behind one number, up to and with another; not before the start."""
        start = self.start
        return list(islice(self._events, max(0, after - start), max(0, last - start)))
