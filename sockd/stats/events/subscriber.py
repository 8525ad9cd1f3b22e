"""A client of ``/events``: its position in the stream, and whether it keeps up.

A chunk has been taken when the peer has acknowledged it, not when the kernel has accepted it: the
send buffer grows to megabytes, which is hours of events of a quiet daemon.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred

from sockd.model.ledger import Clock
from sockd.stats.events.batcher import EventBatcher
from sockd.stats.events.sampler import StatsSampler
from sockd.stats.events.sse import HEARTBEAT, frame
from sockd.stats.http.answers import Outlet, encoded

HEARTBEAT_INTERVAL = 15.0
"""The time without data after which a heartbeat is sent, in seconds."""

STALL_TIMEOUT = 10.0
"""How long a client may take for one chunk, in seconds."""

END_TIMEOUT = 1.0
"""How long a client may take for the end of the stream, in seconds."""


class Subscriber:
    """Sends one chunk at a time, and the next one when it has been taken.

    :param clock: returns the time in seconds since the epoch.
    :ivar is_slow: whether it took too long for a chunk.
    """

    def __init__(self, batcher: EventBatcher, sampler: StatsSampler, clock: Clock) -> None:
        self._batcher = batcher
        self._sampler = sampler
        self._number = 0
        self._clock = clock
        self._sent_version = 0
        self._sent_at = clock()
        self._more: Deferred[None] | None = None
        self._outlet: Outlet | None = None
        self._is_over = False
        self.is_slow = False

    def attach(self, outlet: Outlet) -> None:
        """Use this connection to find out what the peer has acknowledged."""
        self._outlet = outlet

    def slices(self, greeting: bytes, number: int) -> Iterator[bytes | Deferred[None]]:
        """Return chunks; a Deferred, when there is none, fires when there is one.

        :param number: the event after which the stream starts.
        """
        self._number = number
        yield greeting
        while not self._is_over:
            self._more = Deferred()
            yield self._more
            if not self.is_slow:
                yield self._chunk()
        if self.is_slow:
            yield self._frame("dropped", encoded({"reason": "slow"}))
            return
        while self._number < self._batcher.front:
            yield self._chunk()

    def tick(self) -> None:
        """Send the next chunk if there is one; give up if the last one is not taken in time."""
        silence = self._clock() - self._sent_at
        if self._is_over:
            return
        if not self._is_taken:
            if silence >= STALL_TIMEOUT:
                self._give_up()
        elif self._has_more or silence >= HEARTBEAT_INTERVAL:
            self._wake()

    def end(self) -> None:
        """Send what there is, and end the stream."""
        self._is_over = True
        self._wake()

    @property
    def _is_taken(self) -> bool:
        """Whether the last chunk was acknowledged; with a full buffer, ``_more`` is ``None``."""
        return self._more is not None and (self._outlet is None or not self._outlet.untaken())

    def _give_up(self) -> None:
        """End the stream, with an event ``dropped`` if the buffer has room for it."""
        self._is_over = self.is_slow = True
        if self._more is None and self._outlet is not None:
            self._outlet.abort()
        self._wake()

    @property
    def _has_more(self) -> bool:
        return self._number < self._batcher.front or self._sent_version < self._sampler.version

    def _chunk(self) -> bytes:
        self._sent_at = self._clock()
        chunk = self._batcher.after(self._number)
        self._number = chunk.last
        if self._sent_version == self._sampler.version:
            return chunk.data or HEARTBEAT
        self._sent_version = self._sampler.version
        return chunk.data + self._frame("totals", self._sampler.data)

    def _frame(self, name: str, data: bytes) -> bytes:
        return frame(name, data, self._batcher.id_of(self._number).encode("ascii"))

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)
