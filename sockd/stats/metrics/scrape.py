"""The resource ``/metrics``, and what is measured between scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from sockd.interfaces import IDaemon
from sockd.stats.http.answers import Answer
from sockd.stats.metrics.histograms import ServiceHistograms
from sockd.stats.metrics.loop_lag import LoopLag

if TYPE_CHECKING:
    from sockd.stats.metrics.exposition import Exposition


class MetricsEndpoint:
    """Answers ``/metrics``; prometheus_client is imported at the first scrape.

    :param daemon: the daemon; its ledger is subscribed to.
    """

    def __init__(self, daemon: IDaemon, reactor: IReactorTime) -> None:
        self._daemon = daemon
        self._histograms = ServiceHistograms()
        daemon.ledger.subscribe(self._histograms.count)
        self._lag = LoopLag(reactor)
        self._exposition: Exposition | None = None

    def start(self) -> None:
        """Start to measure the event loop."""
        self._lag.start()

    def stop(self) -> None:
        """Stop to measure it."""
        self._lag.stop()

    def answer(self, accept: str) -> Answer:
        """Return all metrics, in a format that the scraper accepts."""
        if self._exposition is None:
            from sockd.stats.metrics.exposition import Exposition

            self._exposition = Exposition(self._daemon, self._histograms, self._lag)
        return self._exposition.answer(accept)
