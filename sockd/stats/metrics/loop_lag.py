"""Measures the lag of the event loop: how late timers are while the reactor's thread is busy."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockd.stats.metrics.histograms import Histogram

MEASURE_INTERVAL = 0.5
"""The time between two measurements, in seconds."""

LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""The bucket bounds of the lag, in seconds."""


class LoopLag:
    """Schedules a call at regular intervals, and records how late it is.

    :ivar lags: the lags in seconds.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self.lags = Histogram(LAGS)

    def start(self) -> None:
        """Start to measure, unless it is running."""
        if self._call is None:
            self._expect()

    def stop(self) -> None:
        """Stop measuring."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _expect(self) -> None:
        self._due = self._reactor.seconds() + MEASURE_INTERVAL
        self._call = self._reactor.callLater(MEASURE_INTERVAL, self._called)

    def _called(self) -> None:
        self.lags.add(max(0.0, self._reactor.seconds() - self._due))
        self._expect()
