"""The ledger in the terms of Prometheus: what each scrape of ``/metrics`` gets.

Names and units are those of https://prometheus.io/docs/practices/naming. No label has a value
that a peer can choose.
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
"""How many samples are encoded in one slice."""

_COUNTERS = (
    ("opened", "sockd_connections_opened", "Connections accepted, and flows begun."),
    ("bytes_in", "sockd_received_bytes", "Bytes received from peers."),
    ("bytes_out", "sockd_sent_bytes", "Bytes handed over to be sent to peers."),
    ("reads", "sockd_reads", "Chunks of streams and datagrams received."),
    ("writes", "sockd_writes", "Chunks of streams and datagrams sent."),
    ("errors", "sockd_errors", "Replies that failed, and datagrams that could not be sent."),
)
_DATAGRAMS = (
    ("reads", "sockd_received_datagrams", "Datagrams received."),
    ("writes", "sockd_sent_datagrams", "Datagrams sent."),
)
_DISTRIBUTIONS = (
    ("durations", "sockd_connection_duration_seconds", "How long closed connections lasted."),
    ("received", "sockd_connection_received_bytes", "Bytes received on each closed connection."),
    ("sent", "sockd_connection_sent_bytes", "Bytes sent on each closed connection."),
)


class Exposition:
    """A registry of its own, with the services and the process in it.

    :ivar registry: what is told.
    """

    def __init__(self, daemon: IDaemon, tallies: ServiceHistograms, lag: LoopLag) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(ServiceCollector(daemon, tallies))
        self.registry.register(DaemonCollector(daemon, lag))
        ProcessCollector(registry=self.registry)

    def answer(self, accept: str) -> Answer:
        """Return all figures.

        :param accept: whether the scraper takes OpenMetrics, or else the older text format.
        """
        encode, content_type = choose_encoder(accept)
        return Answer(_slices(encode, self.registry.collect()), content_type=content_type)


class _Collected(Collector):
    """Metrics that have been collected."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._metrics


def _slices(encode: Callable[[Collector], bytes], metrics: Iterable[Metric]) -> Iterator[bytes]:
    """Return what an encoder of the library makes of metrics, :data:`SAMPLES` at a time."""
    end = encode(_Collected())  # "# EOF" in OpenMetrics
    for metric in metrics:
        samples, metric.samples = metric.samples, []
        head = encode(_Collected(metric)).removesuffix(end)
        yield head
        for location in range(0, len(samples), SAMPLES):
            metric.samples = samples[location : location + SAMPLES]
            yield encode(_Collected(metric)).removesuffix(end).removeprefix(head)
    yield end


class DaemonCollector(Collector):
    """The figures of the daemon as a whole."""

    def __init__(self, daemon: IDaemon, lag: LoopLag) -> None:
        self._daemon = daemon
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        """Return the figures as they are now."""
        build = GaugeMetricFamily(
            "sockd_build_info", "The daemon that runs.", labels=("version", "reactor")
        )
        build.add_metric((sockd.__version__, self._daemon.reactor_name), 1)
        yield build
        yield GaugeMetricFamily(
            "sockd_draining", "Whether the daemon is shutting down.", int(self._daemon.draining)
        )
        lag = HistogramMetricFamily(
            "sockd_event_loop_lag_seconds", "How late the event loop was, each half a second."
        )
        lag.add_metric((), _buckets(self._lag.lags), self._lag.lags.sum)
        yield lag


class ServiceCollector(Collector):
    """The figures of the services, each with the label ``service``."""

    def __init__(self, daemon: IDaemon, tallies: ServiceHistograms) -> None:
        self._daemon = daemon
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        """Return the figures as they are now."""
        services = list(self._daemon.services.values())
        datagrams = self._tallies.datagram_services
        yield from _states(services)
        yield from _queues(services)
        yield _certificates(services)
        yield from _counter_families(_COUNTERS, services)
        yield from _counter_families(
            _DATAGRAMS, [one for one in services if one.record.name in datagrams]
        )
        yield _closed(services)
        yield _refused(services)
        for attribute, name, text in _DISTRIBUTIONS:
            family = HistogramMetricFamily(name, text, labels=("service",))
            for service in services:
                distribution = getattr(self._tallies.of(service.record), attribute)
                buckets = _buckets(distribution)
                family.add_metric((service.record.name,), buckets, distribution.sum)
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
        "1 for the state that the service is in.",
        labels=("service", "state"),
    )
    kinds = GaugeMetricFamily(
        "sockd_service_info", "How the service is configured.", labels=("service", "kind", "reply")
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
        "sockd_listen_queue_length", "Clients that wait to be accepted.", labels=labels
    )
    limit = GaugeMetricFamily(
        "sockd_listen_queue_limit", "How many clients may wait to be accepted.", labels=labels
    )
    for service in services:
        for listener in service.record.listeners:
            location = (service.record.name, listener.transport, str(listener.address))
            length = service.waiting(listener)
            if length is not None:
                waiting.add_metric(location, length)
            if listener.backlog is not None:
                limit.add_metric(location, listener.backlog)
    return iter((waiting, limit))


def _certificates(services: Iterable[INetworkService]) -> Metric:
    family = GaugeMetricFamily(
        "sockd_certificate_not_after_seconds",
        "When the first certificate that the listener shows expires, in Unix time.",
        labels=("service", "listener"),
    )
    for service in services:
        for listener in service.record.listeners:
            if listener.not_after is not None:
                location = (service.record.name, str(listener.address))
                family.add_metric(location, listener.not_after)
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
    """Return the refusals; a reason that is always there lets the first one be seen as a rise."""
    family = CounterMetricFamily(
        "sockd_connections_refused", "Clients turned away.", labels=("service", "reason")
    )
    for service in services:
        for reason, count in {RefusalReason.FULL: 0, **service.record.refusals}.items():
            family.add_metric((service.record.name, reason.value), count)
    return family


def _buckets(distribution: Histogram) -> list[tuple[str, float]]:
    return [
        (floatToGoString(bound), count)  # type: ignore[no-untyped-call]
        for bound, count in distribution.cumulative()
    ]
