"""Disconnects a client that does not read, even if little is sent to it.

A full buffer is not enough as a sign: a stream with little data takes hours to fill the buffers of
both systems. The bytes that the peer has not acknowledged are.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from sockd.stats.http.answers import DELIVERY_TIMEOUT, Outlet

PERIOD = 1.0
"""The time between two checks, in seconds."""


class StallWatch:
    """Aborts a connection if no pending byte was acknowledged for :data:`DELIVERY_TIMEOUT`."""

    def __init__(self, outlet: Outlet, reactor: IReactorTime) -> None:
        self._outlet = outlet
        self._reactor = reactor
        self._untaken = 0
        self._taken_at = reactor.seconds()
        self._look_call = reactor.callLater(PERIOD, self._look)

    def end(self) -> None:
        """Stop watching."""
        if self._look_call.active():
            self._look_call.cancel()

    def _look(self) -> None:
        before, self._untaken = self._untaken, self._outlet.untaken()
        now = self._reactor.seconds()
        if not self._untaken or self._untaken < before:
            self._taken_at = now
        if now - self._taken_at >= DELIVERY_TIMEOUT:
            self._outlet.abort()
        else:
            self._look_call = self._reactor.callLater(PERIOD, self._look)
