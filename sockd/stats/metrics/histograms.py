"""What the ledger does not sum up: how long connections last, and how much passes on each.

Pure. It sees every event, so all that it does there is to count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from sockd.model.events import Event, EventType
from sockd.model.records import ServiceRecord

DURATIONS = (0.005, 0.05, 0.5, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""The bounds of the durations, in seconds."""

SIZES = (64.0, 1024.0, 16384.0, 262144.0, 4194304.0, 67108864.0, 1073741824.0)
"""The bounds of what passes in one direction, in bytes."""


class Histogram:
    """How many values are not above each of some bounds.

    :ivar sum: of all values.
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
        """Return each bound, infinity the last, with the number of values up to it."""
        return zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True)


class ServiceHistogramSet:
    """What is counted of a service.

    :ivar durations: of the closed connections.
    :ivar received: by each of them, in bytes.
    :ivar sent: on each of them, in bytes.
    """

    __slots__ = ("durations", "received", "sent")

    def __init__(self) -> None:
        self.durations = Histogram(DURATIONS)
        self.received = Histogram(SIZES)
        self.sent = Histogram(SIZES)


class ServiceHistograms:
    """Counts the ends of connections: ``ledger.subscribe(Tallies().count)``.

    :ivar datagram_services: those that have listened on UDP, by name.
    """

    def __init__(self) -> None:
        self._by_service: dict[ServiceRecord, ServiceHistogramSet] = {}
        self.datagram_services: set[str] = set()

    def of(self, service: ServiceRecord) -> ServiceHistogramSet:
        """Return what is counted of a service."""
        tally = self._by_service.get(service)
        if tally is None:
            tally = self._by_service[service] = ServiceHistogramSet()
        return tally

    def count(self, event: Event) -> None:
        """Take note of an event."""
        connection = event.connection
        if event.type is EventType.CLOSE and connection is not None:
            tally = self.of(event.service)
            tally.durations.add(event.time - connection.opened)
            tally.received.add(connection.bytes_in)
            tally.sent.add(connection.bytes_out)
        elif event.type is EventType.BIND and event.listener.transport == "udp":
            self.datagram_services.add(event.service.name)
