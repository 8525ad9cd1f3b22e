"""The ledger as Prometheus metrics.

Names and units follow https://prometheus.io/docs/practices/naming. No label has a value that a peer
can choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import sockd
from sockd.interfaces import IDaemon, INetworkService
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import State
from sockd.stats.http.answers import Answer
from sockd.stats.metrics.histograms import Histogram, ServiceHistograms
from sockd.stats.metrics.loop_lag import LoopLag

SAMPLES = 256
"""The maximum number of samples in a slice."""

_COUNTERS = (
    ("opened", "sockd_connections_opened", "Connections accepted, and flows started."),
    ("bytes_in", "sockd_received_bytes", "Bytes received from peers."),
    ("bytes_out", "sockd_sent_bytes", "Bytes passed to the kernel to be sent to peers."),
    ("reads", "sockd_reads", "Chunks of streams and datagrams received."),
    ("writes", "sockd_writes", "Chunks of streams and datagrams sent."),
    ("errors", "sockd_errors", "Replies that failed, and datagrams that could not be sent."),
)
_DATAGRAMS = (
    ("reads", "sockd_received_datagrams", "Datagrams received."),
    ("writes", "sockd_sent_datagrams", "Datagrams sent."),
)
_HISTOGRAMS = (
    ("durations", "sockd_connection_duration_seconds", "Duration of closed connections."),
    ("received", "sockd_connection_received_bytes", "Bytes received on each closed connection."),
    ("sent", "sockd_connection_sent_bytes", "Bytes sent on each closed connection."),
)


class Exposition:
    """A registry with the metrics of the services and of the process.

    :ivar registry: the registry.
    """

    def __init__(self, daemon: IDaemon, histograms: ServiceHistograms, lag: LoopLag) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(ServiceCollector(daemon, histograms))
        self.registry.register(DaemonCollector(daemon, lag))
        ProcessCollector(registry=self.registry)

    def answer(self, accept: str) -> Answer:
        """Return all metrics.

        :param accept: the ``Accept`` header, which selects OpenMetrics or the older text format.
        """
        encode, content_type = choose_encoder(accept)
        return Answer(_slices(encode, self.registry.collect()), content_type=content_type)


class _Collected(Collector):
    """Metrics that have already been collected."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        return self._metrics


def _slices(encode: Callable[[Collector], bytes], metrics: Iterable[Metric]) -> Iterator[bytes]:
    """Encode metrics with an encoder of the library, :data:`SAMPLES` at a time."""
    end = encode(_Collected())  # "# EOF" in OpenMetrics
    for metric in metrics:
        samples, metric.samples = metric.samples, []
        head = encode(_Collected(metric)).removesuffix(end)
        yield head
        for start in range(0, len(samples), SAMPLES):
            metric.samples = samples[start : start + SAMPLES]
            yield encode(_Collected(metric)).removesuffix(end).removeprefix(head)
    yield end


class DaemonCollector(Collector):
    """The metrics of the daemon as a whole."""

    def __init__(self, daemon: IDaemon, lag: LoopLag) -> None:
        self._daemon = daemon
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        """Return the current values."""
        build = GaugeMetricFamily(
            "sockd_build_info", "The daemon that runs.", labels=("version", "reactor")
        )
        build.add_metric((sockd.__version__, self._daemon.reactor_name), 1)
        yield build
        yield GaugeMetricFamily(
            "sockd_draining", "Whether the daemon is shutting down.", int(self._daemon.draining)
        )
        lag = HistogramMetricFamily(
            "sockd_event_loop_lag_seconds", "Lag of the event loop, measured twice a second."
        )
        lag.add_metric((), _buckets(self._lag.lags), self._lag.lags.sum)
        yield lag


class ServiceCollector(Collector):
    """The metrics of the services, each with the label ``service``."""

    def __init__(self, daemon: IDaemon, histograms: ServiceHistograms) -> None:
        self._daemon = daemon
        self._histograms = histograms

    def collect(self) -> Iterator[Metric]:
        """Return the current values."""
        services = list(self._daemon.services.values())
        datagrams = self._histograms.datagram_services
        yield from _states(services)
        yield from _queues(services)
        yield _certificates(services)
        yield from _counter_families(_COUNTERS, services)
        yield from _counter_families(
            _DATAGRAMS, [one for one in services if one.record.name in datagrams]
        )
        yield _closed(services)
        yield _refused(services)
        for attribute, name, text in _HISTOGRAMS:
            family = HistogramMetricFamily(name, text, labels=("service",))
            for service in services:
                histogram = getattr(self._histograms.of(service.record), attribute)
                buckets = _buckets(histogram)
                family.add_metric((service.record.name,), buckets, histogram.sum)
            yield family


def _closed(services: Iterable[INetworkService]) -> Metric:
    family = CounterMetricFamily(
        "sockd_connections_closed", "Connections ended.", labels=("service", "reason")
    )
    for service in services:
        for reason, count in ({EndReason.EOF: 0} | service.record.ends).items():
            family.add_metric((service.record.name, reason.value), count)
    return family


def _states(services: Iterable[INetworkService]) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "sockd_connections", "Connections that are open now.", labels=("service",)
    )
    states = GaugeMetricFamily(
        "sockd_service_state",
        "1 for the current state of the service.",
        labels=("service", "state"),
    )
    kinds = GaugeMetricFamily(
        "sockd_service_info", "Configuration of the service.", labels=("service", "kind", "reply")
    )
    for service in services:
        record = service.record
        active.add_metric((record.name,), record.active)
        kinds.add_metric((record.name, record.kind, record.reply), 1)
        for state in State:
            states.add_metric((record.name, state.value), int(record.state is state))
    return iter((active, states, kinds))


def _queues(services: Iterable[INetworkService]) -> Iterator[Metric]:
    labels = ("service", "transport", "listener")
    waiting = GaugeMetricFamily(
        "sockd_listen_queue_length", "Connections in the accept queue.", labels=labels
    )
    limit = GaugeMetricFamily(
        "sockd_listen_queue_limit", "Limit of the accept queue.", labels=labels
    )
    for service in services:
        for listener in service.record.listeners:
            values = (service.record.name, listener.transport, str(listener.address))
            length = service.waiting(listener)
            if length is not None:
                waiting.add_metric(values, length)
            if listener.backlog is not None:
                limit.add_metric(values, listener.backlog)
    return iter((waiting, limit))


def _certificates(services: Iterable[INetworkService]) -> Metric:
    family = GaugeMetricFamily(
        "sockd_certificate_not_after_seconds",
        "Expiry of the listener's certificate that expires first, in Unix time.",
        labels=("service", "listener"),
    )
    for service in services:
        for listener in service.record.listeners:
            if listener.not_after is not None:
                values = (service.record.name, str(listener.address))
                family.add_metric(values, listener.not_after)
    return family


def _counter_families(
    counters: Iterable[tuple[str, str, str]], services: Iterable[INetworkService]
) -> Iterator[Metric]:
    records = [service.record for service in services]
    for attribute, name, text in counters:
        family = CounterMetricFamily(name, text, labels=("service",))
        for record in records:
            family.add_metric((record.name,), getattr(record, attribute))
        yield family


def _refused(services: Iterable[INetworkService]) -> Metric:
    """Return the refusals. ``full`` is always included, so that its first increase is visible."""
    family = CounterMetricFamily(
        "sockd_connections_refused", "Clients refused.", labels=("service", "reason")
    )
    for service in services:
        for reason, count in {RefusalReason.FULL: 0, **service.record.refusals}.items():
            family.add_metric((service.record.name, reason.value), count)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [
        (floatToGoString(bound), count)  # type: ignore[no-untyped-call]
        for bound, count in histogram.cumulative()
    ]
