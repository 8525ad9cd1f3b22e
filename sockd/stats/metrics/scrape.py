"""What is measured for Prometheus all along, and the answers to its scrapes."""

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
    """Answers ``/metrics``; the library for that is loaded with the first scrape.

    :param daemon: whose ledger is followed from now on.
    """

    def __init__(self, daemon: IDaemon, reactor: IReactorTime) -> None:
        self._daemon = daemon
        self._tallies = ServiceHistograms()
        daemon.ledger.subscribe(self._tallies.count)
        self._lag = LoopLag(reactor)
        self._exposition: Exposition | None = None

    def start(self) -> None:
        """Begin to watch the event loop."""
        self._lag.start()

    def stop(self) -> None:
        """Watch it no more."""
        self._lag.stop()

    def answer(self, accept: str) -> Answer:
        """Return all figures, in the format that the scraper takes."""
        if self._exposition is None:
            from sockd.stats.metrics.exposition import Exposition

            self._exposition = Exposition(self._daemon, self._tallies, self._lag)
        return self._exposition.answer(accept)
