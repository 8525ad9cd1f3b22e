"""Histograms of closed connections: their duration, and the bytes in each direction. Pure.

It is called for every event, so it does as little as possible.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from sockd.model.events import Event, EventType
from sockd.model.records import ServiceRecord

DURATIONS = (0.005, 0.05, 0.5, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""The bucket bounds of durations, in seconds."""

SIZES = (64.0, 1024.0, 16384.0, 262144.0, 4194304.0, 67108864.0, 1073741824.0)
"""The bucket bounds of the bytes in one direction."""


class Histogram:
    """Counts values in buckets.

    :ivar sum: the sum of all values.
    """

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Return each bound, ending with infinity, and the number of values up to it."""
        return zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True)


class ServiceHistogramSet:
    """The histograms of a service.

    :ivar durations: the durations of closed connections, in seconds.
    :ivar received: the bytes received on each of them.
    :ivar sent: the bytes sent on each of them.
    """

    __slots__ = ("durations", "received", "sent")

    def __init__(self) -> None:
        self.durations = Histogram(DURATIONS)
        self.received = Histogram(SIZES)
        self.sent = Histogram(SIZES)


class ServiceHistograms:
    """The histograms of all services: ``ledger.subscribe(ServiceHistograms().count)``.

    :ivar datagram_services: the names of the services that have listened on UDP.
    """

    def __init__(self) -> None:
        self._by_service: dict[ServiceRecord, ServiceHistogramSet] = {}
        self.datagram_services: set[str] = set()

    def of(self, service: ServiceRecord) -> ServiceHistogramSet:
        """Return the histograms of a service."""
        tally = self._by_service.get(service)
        if tally is None:
            tally = self._by_service[service] = ServiceHistogramSet()
        return tally

    def count(self, event: Event) -> None:
        """Count an event."""
        connection = event.connection
        if event.type is EventType.CLOSE and connection is not None:
            tally = self.of(event.service)
            tally.durations.add(event.time - connection.opened)
            tally.received.add(connection.bytes_in)
            tally.sent.add(connection.bytes_out)
        elif event.type is EventType.BIND and event.listener.transport == "udp":
            self.datagram_services.add(event.service.name)
