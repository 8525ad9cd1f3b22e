"""What a reader of the events gets next: all of it, or in a burst what stays of it. Pure.

In a burst most clients are gone before anybody could have looked at them. Those are left out, but
for a few; what is told one by one are the connections that came and stayed. Of those that were told
before and are gone now the numbers are told, and of those left out the first and the last: a reader
may know them from elsewhere. The services' counters go along. So a reader knows who is there and
what has passed, and what it costs has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from sockd.model.events import Event, EventType
from sockd.model.records import ServiceRecord
from sockd.render.json_views import JsonObject
from sockd.stats.events.buffer import EventBuffer
from sockd.stats.events.sse import event_frame, frame
from sockd.stats.http.answers import encoded
from sockd.support.text import rfc3339

MOST_TOLD = 100
"""How many events one chunk tells one by one."""

SAMPLE = 10
"""How many of the clients that are gone already are told all the same."""

_NUMBER = re.compile(r"(?P<start>[0-9a-f]{1,16})-(?P<number>[0-9]{1,18})")
_FROM_THE_START = "0"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is sent to a reader at a time.

    :ivar last: the number of the last event in it, told or counted.
    """

    data: bytes
    last: int


class EventBatcher:
    """The events behind any number, encoded once for all readers who are equally far.

    :param services: whose events these are, by name.
    :param started: when the daemon started, in seconds since the epoch: events of another one
        have other ids.
    :ivar front: the number up to which events are told.
    """

    def __init__(
        self, backlog: EventBuffer, services: Mapping[str, ServiceRecord], started: float
    ) -> None:
        self._backlog = backlog
        self._services = services
        self._start = f"{int(started * 1000):x}"
        self._chunks: dict[int, Chunk] = {}
        self._counters: list[JsonObject] = []
        self.front = 0

    def advance(self) -> None:
        """Tell what has happened until now."""
        self._chunks.clear()
        if self.front != self._backlog.last:
            self.front = self._backlog.last
            self._counters = [_service_counters(record) for record in self._services.values()]

    def id_of(self, number: int) -> str:
        """Return the id that a reader sees for a number."""
        return f"{self._start}-{number}"

    @property
    def newest(self) -> str:
        """The id of the newest event."""
        return self.id_of(self._backlog.last)

    def number_of(self, text: str) -> int | None:
        """Return the number of an id from which a reader can go on; ``None`` if it cannot.

        It may be in front of what is told by now: whoever has asked for the stats knows the newest.
        ``0`` stands for the oldest event that is kept.
        """
        if text == _FROM_THE_START:
            return self._backlog.start
        match = _NUMBER.fullmatch(text)
        if match is None or match["start"] != self._start:
            return None
        number = int(match["number"])
        return number if self._backlog.start <= number <= self._backlog.last else None

    def after(self, number: int) -> Chunk:
        """Return what comes behind a number; nothing if that is the front."""
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = self._made(number)
        return chunk

    def _made(self, number: int) -> Chunk:
        if number < self._backlog.start:
            return self._lost(self.front - number)
        events = self._backlog.between(number, self.front)
        if len(events) <= MOST_TOLD:
            return Chunk(b"".join(self._frames(events, number)), self.front)
        return self._burst(events, number)

    def _lost(self, count: int) -> Chunk:
        data = encoded({"missed": count})
        return Chunk(frame("lost", data, self._id(self.front)), self.front)

    def _burst(self, events: list[Event], number: int) -> Chunk:
        """Return what a burst tells, with the sum of what it does not in front.

        So a reader who is cut off within it, and goes on from there, has heard of every end.
        """
        told, ended, walked = _summed_up(events)
        ids = [
            self._id(number + location) for location in (0, *(location + 1 for location in told))
        ]
        ids[-1] = self._id(number + walked)
        parts = [
            event_frame(events[location], own) for location, own in zip(told, ids[1:], strict=True)
        ]
        if walked > len(told):
            data = {
                "time": rfc3339(events[walked - 1].time),
                "left_out": walked - len(told),
                "closed": ended,
                "brief": _brief(events[:walked]),
                "services": self._counters,
            }
            parts.insert(0, frame("burst", encoded(data), ids[0]))
        return Chunk(b"".join(parts), number + walked)

    def _frames(self, events: list[Event], number: int) -> list[bytes]:
        return [
            event_frame(event, self._id(location))
            for location, event in enumerate(events, number + 1)
        ]

    def _id(self, number: int) -> bytes:
        return self.id_of(number).encode("ascii")


def _summed_up(events: list[Event]) -> tuple[list[int], list[int], int]:
    """Return what a burst tells: the places of events, and connections of which only the end is.

    The latter came before it. The third is how many events both and those left out are.
    """
    told: list[int] = []
    ended: list[int] = []
    first = next(_arrivals(events), inf)
    for location in _lasting(events, first):
        word, connection = events[location].type, events[location].connection
        is_end = word is EventType.CLOSE and len(told) >= 2 * SAMPLE
        if is_end and connection is not None and connection.id < first:
            ended.append(connection.id)
        elif len(told) == MOST_TOLD:
            return told, ended, location
        else:
            told.append(location)
    return told, ended, len(events)


def _brief(events: list[Event]) -> tuple[int, int] | None:
    """Return the first and the last number of those who came; but for the sample.

    Whoever has a number in between, and is not told of behind that, is gone already.
    """
    first = next(_arrivals(events), inf) + SAMPLE
    last = next(_arrivals(reversed(events)), 0)
    return (int(first), last) if first <= last else None


def _arrivals(events: Iterable[Event]) -> Iterator[int]:
    """Return the numbers of the connections that come."""
    accept = EventType.ACCEPT
    came = (event.connection for event in events if event.type is accept)
    return (one.id for one in came if one is not None)


def _lasting(events: list[Event], first: float) -> list[int]:
    """Return the places of the events that matter to who is there, and of a few others.

    Connections are numbered in the order in which they come, so whoever is closed by now and has
    a greater number than the first that comes here both comes and goes here.
    """
    refuse, brief = EventType.REFUSE, first + SAMPLE
    return [
        location
        for location, event in enumerate(events)
        if (
            event.type is not refuse
            if (connection := event.connection) is None
            else connection.closed is None or connection.id < brief
        )
    ]


def _service_counters(record: ServiceRecord) -> JsonObject:
    names = ("active", "opened", "closed", "refused")
    return {"name": record.name, **{name: getattr(record, name) for name in names}}
