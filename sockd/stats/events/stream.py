"""The resource ``/events``: a stream of server-sent events for each subscriber.

All subscribers are woken together, every :data:`TICK` seconds, so that the events in between are
encoded once, in one chunk. Each has at most one unacknowledged chunk, and is disconnected if it
does not take it in time. Without subscribers, events are only buffered.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from sockd.interfaces import IDaemon
from sockd.stats.events.batcher import EventBatcher
from sockd.stats.events.buffer import EventBuffer
from sockd.stats.events.sampler import StatsSampler
from sockd.stats.events.sse import EVENT_STREAM, frame, retry_frame
from sockd.stats.events.subscriber import END_TIMEOUT, Subscriber
from sockd.stats.http.answers import SERVICE_UNAVAILABLE, Answer, RequestError, encoded
from sockd.support.logger import PartLogger
from sockd.support.text import rfc3339

TICK = 0.1
"""The interval at which subscribers are woken, in seconds."""

RETRY = 2.0
"""The reconnection time of browsers, in seconds."""

MAX_SUBSCRIBERS = 100

_HEADERS = {"X-Accel-Buffering": "no"}
"""nginx would buffer the events otherwise."""

_LATER = {"Retry-After": "5"}


class EventStream:
    """Streams the events of a daemon to subscribers.

    :param daemon: the daemon; its ledger is subscribed to.
    """

    _log = PartLogger("sockd.stats")

    def __init__(self, daemon: IDaemon, reactor: IReactorTime) -> None:
        self._daemon = daemon
        self._clock = reactor.seconds
        buffer = EventBuffer()
        daemon.ledger.subscribe(buffer.append)
        self._batcher = EventBatcher(buffer, daemon.ledger.services, daemon.started)
        self._sampler = StatsSampler(daemon)
        self._subscribers: set[Subscriber] = set()
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor

    @property
    def newest(self) -> str:
        """The id of the newest event."""
        return self._batcher.newest

    def answer(self, last_id: str) -> Answer:
        """Return the stream of events from now on, or after an id.

        :param last_id: the id of the last event that the client has received; empty if there is
            none.
        """
        subscriber = Subscriber(self._batcher, self._sampler, self._clock)
        return Answer(
            self._slices(subscriber, last_id),
            content_type=EVENT_STREAM,
            headers=_HEADERS,
            release=partial(self._leave, subscriber),
            attach=subscriber.attach,
            end_timeout=END_TIMEOUT,
        )

    def close(self) -> None:
        """End every stream after the events up to now."""
        self._batcher.advance()
        for subscriber in tuple(self._subscribers):
            subscriber.end()

    def _slices(self, subscriber: Subscriber, last_id: str) -> Iterator[bytes | Deferred[None]]:
        self._enter(subscriber)
        greeting, number = self._greeting(last_id)
        yield from subscriber.slices(greeting, number)

    def _greeting(self, last_id: str) -> tuple[bytes, int]:
        """Return the first events of a stream, and the number after which it continues."""
        number = self._batcher.number_of(last_id)
        position = self._batcher.front if number is None else number
        number_text = self._batcher.id_of(position)
        hello = {
            "id": number_text,
            "resumed": number is not None,
            "name": self._daemon.name,
            "started": rfc3339(self._daemon.started),
        }
        parts = [retry_frame(RETRY), frame("hello", encoded(hello), number_text.encode("ascii"))]
        if last_id and number is None:
            parts.append(frame("lost", encoded({"missed": None}), number_text.encode("ascii")))
        return b"".join(parts), position

    def _enter(self, subscriber: Subscriber) -> None:
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            text = f"the limit of {MAX_SUBSCRIBERS} subscribers is reached; try again later"
            raise RequestError(SERVICE_UNAVAILABLE, text, _LATER)
        self._subscribers.add(subscriber)
        if not self._ticks.running:
            self._ticks.start(TICK)

    def _leave(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        if not self._subscribers and self._ticks.running:
            self._ticks.stop()
        if subscriber.is_slow:
            self._log.info("A client of /events did not keep up and was disconnected")

    def _tick(self) -> None:
        self._batcher.advance()
        self._sampler.renew(self._clock())
        for subscriber in tuple(self._subscribers):
            subscriber.tick()
