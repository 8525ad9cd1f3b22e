"""A buffer of the newest events, for clients of ``/events`` that reconnect. Pure.

Every event passes through it, so it does as little as possible.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from sockd.model.events import Event

SIZE = 8192
"""The maximum number of events."""


class EventBuffer:
    """A bounded buffer of events.

    :ivar last: the number of the newest event; the first has number 1.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._events: deque[Event] = deque(maxlen=size)
        self.last = 0

    @property
    def start(self) -> int:
        """The number after which all events are in the buffer."""
        return self.last - len(self._events)

    def append(self, event: Event) -> None:
        """Add an event; remove the oldest one if the buffer is full."""
        self.last += 1
        self._events.append(event)

    def between(self, after: int, last: int) -> list[Event]:
        """Return the events after one number, up to and including another."""
        start = self.start
        return list(islice(self._events, max(0, after - start), max(0, last - start)))
