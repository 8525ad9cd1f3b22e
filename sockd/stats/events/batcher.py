"""Encodes events in chunks for the subscribers, and summarizes bursts. Pure.

In a burst, most connections are closed before a person could see them. Except for a sample, they
are left out; only connections that stay open are sent one by one. For the others, the chunk has the
numbers of those that were open before the burst, and the first and last number of those that came
and went in it, because a subscriber may know them from elsewhere. It also has the counters of the
services. So a subscriber knows the open connections and the totals, at a bounded cost.
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

MAX_CHUNK_EVENTS = 100
"""The maximum number of events in a chunk."""

BURST_SAMPLE = 10
"""How many connections that came and went in a burst are sent nevertheless."""

_NUMBER = re.compile(r"(?P<start>[0-9a-f]{1,16})-(?P<number>[0-9]{1,18})")
_FROM_THE_START = "0"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Encoded events that are sent together.

    :ivar last: the number of the last event in it, including those left out.
    """

    data: bytes
    last: int


class EventBatcher:
    """Returns the events after any number, encoded once for all subscribers at the same position.

    :param buffer: the events.
    :param services: the services by name, for their counters.
    :param started: the start of the daemon, in seconds since the epoch; it is part of the ids, so
        that ids of an earlier run are recognized.
    :ivar front: the number of the last event that may be sent.
    """

    def __init__(
        self, buffer: EventBuffer, services: Mapping[str, ServiceRecord], started: float
    ) -> None:
        self._buffer = buffer
        self._services = services
        self._start = f"{int(started * 1000):x}"
        self._chunks: dict[int, Chunk] = {}
        self._counters: list[JsonObject] = []
        self.front = 0

    def advance(self) -> None:
        """Make the events up to now available."""
        self._chunks.clear()
        if self.front != self._buffer.last:
            self.front = self._buffer.last
            self._counters = [_service_counters(record) for record in self._services.values()]

    def id_of(self, number: int) -> str:
        """Return the event id for a number."""
        return f"{self._start}-{number}"

    @property
    def newest(self) -> str:
        """The id of the newest event."""
        return self.id_of(self._buffer.last)

    def number_of(self, text: str) -> int | None:
        """Return the number for an event id; ``None`` if the stream cannot be resumed from it.

        The number may be greater than ``front``: ``/stats`` contains the id of the newest event.
        ``0`` stands for the oldest event in the buffer.
        """
        if text == _FROM_THE_START:
            return self._buffer.start
        match = _NUMBER.fullmatch(text)
        if match is None or match["start"] != self._start:
            return None
        number = int(match["number"])
        return number if self._buffer.start <= number <= self._buffer.last else None

    def after(self, number: int) -> Chunk:
        """Return the events after a number; an empty chunk if there are none."""
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = self._made(number)
        return chunk

    def _made(self, number: int) -> Chunk:
        if number < self._buffer.start:
            return self._lost(self.front - number)
        events = self._buffer.between(number, self.front)
        if len(events) <= MAX_CHUNK_EVENTS:
            return Chunk(b"".join(self._frames(events, number)), self.front)
        return self._burst(events, number)

    def _lost(self, count: int) -> Chunk:
        data = encoded({"missed": count})
        return Chunk(frame("lost", data, self._id(self.front)), self.front)

    def _burst(self, events: list[Event], number: int) -> Chunk:
        """Return the chunk for a burst, with the summary first.

        So a subscriber that is disconnected within it, and resumes, does not miss the end of a
        connection.
        """
        listed, ended, covered = _summarized(events)
        ids = [self._id(number + index) for index in (0, *(index + 1 for index in listed))]
        ids[-1] = self._id(number + covered)
        parts = [
            event_frame(events[index], own) for index, own in zip(listed, ids[1:], strict=True)
        ]
        if covered > len(listed):
            data = {
                "time": rfc3339(events[covered - 1].time),
                "left_out": covered - len(listed),
                "closed": ended,
                "brief": _brief(events[:covered]),
                "services": self._counters,
            }
            parts.insert(0, frame("burst", encoded(data), ids[0]))
        return Chunk(b"".join(parts), number + covered)

    def _frames(self, events: list[Event], number: int) -> list[bytes]:
        return [
            event_frame(event, self._id(index)) for index, event in enumerate(events, number + 1)
        ]

    def _id(self, number: int) -> bytes:
        return self.id_of(number).encode("ascii")


def _summarized(events: list[Event]) -> tuple[list[int], list[int], int]:
    """Return what to send of a burst: indexes of events, numbers of connections, and a count.

    The numbers are those of connections that were open before the burst, and are closed now. The
    count is how many events the chunk covers, including those left out.
    """
    listed: list[int] = []
    ended: list[int] = []
    first = next(_arrivals(events), inf)
    for index in _relevant(events, first):
        word, connection = events[index].type, events[index].connection
        is_end = word is EventType.CLOSE and len(listed) >= 2 * BURST_SAMPLE
        if is_end and connection is not None and connection.id < first:
            ended.append(connection.id)
        elif len(listed) == MAX_CHUNK_EVENTS:
            return listed, ended, index
        else:
            listed.append(index)
    return listed, ended, len(events)


def _brief(events: list[Event]) -> tuple[int, int] | None:
    """Return the first and last number of connections accepted in a burst, without the sample.

    Connections with a number in between that are not in the rest of the chunk are closed.
    """
    first = next(_arrivals(events), inf) + BURST_SAMPLE
    last = next(_arrivals(reversed(events)), 0)
    return (int(first), last) if first <= last else None


def _arrivals(events: Iterable[Event]) -> Iterator[int]:
    """Return the numbers of the accepted connections."""
    accept = EventType.ACCEPT
    came = (event.connection for event in events if event.type is accept)
    return (one.id for one in came if one is not None)


def _relevant(events: list[Event], first: float) -> list[int]:
    """Return the indexes of events that change which connections are open, and of a sample.

    Connections are numbered in the order of their accept. So a closed connection with a greater
    number than the first one accepted here was both accepted and closed here.
    """
    refuse, brief = EventType.REFUSE, first + BURST_SAMPLE
    return [
        index
        for index, event in enumerate(events)
        if (
            event.type is not refuse
            if (connection := event.connection) is None
            else connection.closed is None or connection.id < brief
        )
    ]


def _service_counters(record: ServiceRecord) -> JsonObject:
    names = ("active", "opened", "closed", "refused")
    return {"name": record.name, **{name: getattr(record, name) for name in names}}
