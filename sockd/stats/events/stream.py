"""The events as they happen, for everybody who watches: ``/events``.

Readers are woken together, :data:`TICK` apart, so that what happens in between is encoded once,
and in one piece. Each has at most one piece on its way, and is dropped if it does not take it in
time. While nobody reads, nothing is done but to keep the backlog.
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
from sockd.stats.events.subscriber import FAREWELL, Subscriber
from sockd.stats.http.answers import SERVICE_UNAVAILABLE, Answer, RequestError, encoded
from sockd.support.logger import PartLogger
from sockd.support.text import rfc3339

TICK = 0.1
"""How far apart the readers are woken, in seconds."""

RETRY = 2.0
"""How long a browser waits before it connects again, in seconds."""

MOST_READERS = 100

_HEADERS = {"X-Accel-Buffering": "no"}
"""Proxies of nginx's kind would keep the events back."""

_LATER = {"Retry-After": "5"}


class EventStream:
    """Tells what happens to whoever reads.

    :param daemon: whose ledger is followed from now on.
    """

    _log = PartLogger("sockd.stats")

    def __init__(self, daemon: IDaemon, reactor: IReactorTime) -> None:
        self._daemon = daemon
        self._clock = reactor.seconds
        backlog = EventBuffer()
        daemon.ledger.subscribe(backlog.append)
        self._news = EventBatcher(backlog, daemon.ledger.services, daemon.started)
        self._totals = StatsSampler(daemon)
        self._readers: set[Subscriber] = set()
        self._clockwork = LoopingCall(self._tick)
        self._clockwork.clock = reactor

    @property
    def newest(self) -> str:
        """The id of the newest event."""
        return self._news.newest

    def answer(self, last_id: str) -> Answer:
        """Return the events from now on, or behind an id.

        :param last_id: of the last event that the reader has; empty if it has none.
        """
        reader = Subscriber(self._news, self._totals, self._clock)
        return Answer(
            self._slices(reader, last_id),
            content_type=EVENT_STREAM,
            headers=_HEADERS,
            release=partial(self._leave, reader),
            attach=reader.attach,
            farewell=FAREWELL,
        )

    def close(self) -> None:
        """End every stream, with what has happened until now: the daemon stops."""
        self._news.advance()
        for reader in tuple(self._readers):
            reader.end()

    def _slices(self, reader: Subscriber, last_id: str) -> Iterator[bytes | Deferred[None]]:
        self._enter(reader)
        greeting, number = self._greeting(last_id)
        yield from reader.slices(greeting, number)

    def _greeting(self, last_id: str) -> tuple[bytes, int]:
        """Return what a reader is told first, and the number behind which it goes on."""
        number = self._news.number_of(last_id)
        position = self._news.front if number is None else number
        number_text = self._news.id_of(position)
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

    def _enter(self, reader: Subscriber) -> None:
        if len(self._readers) >= MOST_READERS:
            text = f"{MOST_READERS} clients read the events already; try again later"
            raise RequestError(SERVICE_UNAVAILABLE, text, _LATER)
        self._readers.add(reader)
        if not self._clockwork.running:
            self._clockwork.start(TICK)

    def _leave(self, reader: Subscriber) -> None:
        self._readers.discard(reader)
        if not self._readers and self._clockwork.running:
            self._clockwork.stop()
        if reader.is_slow:
            self._log.info("A reader of the events did not keep up, and was dropped")

    def _tick(self) -> None:
        self._news.advance()
        self._totals.renew(self._clock())
        for reader in tuple(self._readers):
            reader.tick()
