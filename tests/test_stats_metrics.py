"""`/metrics` of a fake daemon."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from twisted.internet.task import Clock

from sockd.model.reasons import EndReason
from sockd.model.records import State
from sockd.stats.metrics.exposition import SAMPLES, Exposition
from sockd.stats.metrics.histograms import Histogram, ServiceHistograms
from sockd.stats.metrics.loop_lag import MEASURE_INTERVAL, LoopLag
from sockd.testing import FakeDaemon
from tests.conftest import ToolFinder
from tests.fresh import REPOSITORY
from tests.stats_client import Endpoint

pytestmark = pytest.mark.dependencies

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
CONTRIB = REPOSITORY / "contrib"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def busy() -> Endpoint:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    flows = endpoint.daemon.add("flows", "udp", "udp")
    echo.clients_waiting = 3
    now = endpoint.clock.seconds()
    brief = echo.open()
    brief.received(5, now)
    brief.sent(2000, now)
    echo.open()
    echo.refuse()
    flow = flows.open()
    flow.received(7, now)
    flow.received(0, now)
    flow.sent(7, now)
    endpoint.clock.advance(2)
    echo.close(brief, EndReason.RESET)
    return endpoint


def scraped(endpoint: Endpoint) -> Samples:
    text = endpoint.ask("/metrics").body.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


@pytest.fixture
def samples() -> Samples:
    return scraped(busy())


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_the_ledger_is_told_service_by_service(samples: Samples) -> None:
    echo = {"service": "echo"}
    assert of(samples, "sockd_connections", **echo) == 1
    assert of(samples, "sockd_connections_opened_total", **echo) == 2
    assert of(samples, "sockd_connections_closed_total", **echo, reason="reset") == 1
    assert of(samples, "sockd_connections_closed_total", **echo, reason="eof") == 0
    assert of(samples, "sockd_connections_refused_total", **echo, reason="full") == 1
    assert of(samples, "sockd_connections_refused_total", service="flows", reason="full") == 0
    assert of(samples, "sockd_received_bytes_total", **echo) == 5
    assert of(samples, "sockd_sent_bytes_total", **echo) == 2000
    assert of(samples, "sockd_service_info", **echo, kind="multi", reply="echo") == 1
    assert of(samples, "sockd_service_state", **echo, state="listening") == 1
    assert of(samples, "sockd_service_state", **echo, state="failed") == 0
    location = {"listener": "127.0.0.1:65432", "transport": "tcp"}
    assert of(samples, "sockd_listen_queue_length", **echo, **location) == 3
    assert of(samples, "sockd_listen_queue_limit", **echo, **location) == 50


def test_datagrams_are_those_of_the_services_that_have_them(samples: Samples) -> None:
    assert of(samples, "sockd_received_datagrams_total", service="flows") == 2
    assert of(samples, "sockd_sent_datagrams_total", service="flows") == 1
    labels = [labels for name, labels in samples if name == "sockd_received_datagrams_total"]
    assert labels == [frozenset({("service", "flows")})]


def test_durations_and_sizes_are_histograms_of_closed_connections(samples: Samples) -> None:
    for name, bound, above, total in (
        ("duration_seconds", "0.5", "5.0", 2.0),
        ("received_bytes", "64.0", "64.0", 5),
        ("sent_bytes", "1024.0", "16384.0", 2000),
    ):
        metric = f"sockd_connection_{name}"
        below = of(samples, f"{metric}_bucket", service="echo", le=bound)
        assert below == (1 if bound == above else 0)
        assert of(samples, f"{metric}_bucket", service="echo", le=above) == 1
        assert of(samples, f"{metric}_bucket", service="echo", le="+Inf") == 1
        assert of(samples, f"{metric}_count", service="echo") == 1
        assert of(samples, f"{metric}_sum", service="echo") == total
        assert of(samples, f"{metric}_count", service="flows") == 0


def test_a_value_on_a_bound_is_not_above_it() -> None:
    distribution = Histogram((1.0, 2.0))
    for value in (0, 1, 1.5, 2, 3):
        distribution.add(value)
    assert list(distribution.cumulative()) == [(1.0, 2), (2.0, 4), (float("inf"), 5)]


def test_the_process_and_the_daemon_are_told_too(samples: Samples) -> None:
    assert of(samples, "process_open_fds") > 3
    assert of(samples, "process_cpu_seconds_total") > 0
    assert of(samples, "process_resident_memory_bytes") > 1_000_000
    assert of(samples, "sockd_draining") == 0
    (build,) = (labels for name, labels in samples if name == "sockd_build_info")
    assert ("reactor", "fake") in build


def test_the_state_is_the_one_of_now() -> None:
    endpoint = busy()
    endpoint.daemon.services["echo"].record.state = State.PAUSED
    endpoint.daemon.draining = True
    samples = scraped(endpoint)
    assert of(samples, "sockd_service_state", service="echo", state="paused") == 1
    assert of(samples, "sockd_service_state", service="echo", state="listening") == 0
    assert of(samples, "sockd_draining") == 1


def test_no_label_has_a_value_that_a_peer_can_choose(samples: Samples) -> None:
    names = {name for _, labels in samples for name, _ in labels}
    assert names == {
        *("service", "reason", "kind", "reply", "state"),
        *("transport", "listener", "le", "version", "reactor"),
    }


def test_a_scraper_gets_the_format_that_it_takes() -> None:
    endpoint = busy()
    for accept in ("", "Accept: */*", "Accept: text/html"):
        plain = endpoint.ask("/metrics", "GET", *filter(None, [accept]))
        assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert list(parse_text(plain.body.decode()))
    reply = endpoint.ask("/metrics", "GET", f"Accept: {OPENMETRICS}")
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert reply.body.endswith(b"# EOF\n")
    assert list(parse_openmetrics(reply.body.decode()))  # type: ignore[no-untyped-call]


def test_every_metric_is_on_the_page() -> None:
    text = busy().ask("/metrics").body.decode()
    page = (REPOSITORY / "docs" / "interfaces.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^# TYPE (sockd_\w+)", text, re.MULTILINE))
    assert names == set(re.findall(r"`(sockd_\w+)`", page))


def test_prometheus_finds_nothing_wrong_with_the_names(tool: ToolFinder) -> None:
    body = busy().ask("/metrics").body
    command = [tool("promtool", "prometheus"), "check", "metrics"]
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_lag_of_the_event_loop_is_how_late_it_calls() -> None:
    clock = Clock()
    lag = LoopLag(clock)
    lag.start()
    lag.start()
    for late in (0.0, 0.2, 0.0):
        clock.advance(MEASURE_INTERVAL + late)
    assert lag.lags.sum == pytest.approx(0.2)
    assert dict(lag.lags.cumulative())[0.1] == 2
    lag.stop()
    lag.stop()
    assert clock.getDelayedCalls() == []


def expressions() -> Iterator[str]:
    dashboard = json.loads((CONTRIB / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in dashboard["templating"]["list"]:
        yield variable["query"]
    rules = (CONTRIB / "prometheus-alerts.yml").read_text(encoding="utf-8")
    yield from re.findall(r"^ +expr: (.*)$", rules, re.MULTILINE)


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are(samples: Samples) -> None:
    known = {name for name, _ in samples} | {"up"}
    asked = {
        name
        for expression in expressions()
        for name in re.findall(r"\b(?:sockd|process)_\w+", expression)
    }
    assert len(asked) > 10
    assert asked <= known


@pytest.mark.parametrize(
    ("what", "file"),
    [
        ("check", CONTRIB / "prometheus-alerts.yml"),
        ("test", REPOSITORY / "tests" / "prometheus-alerts.test.yml"),
    ],
)
def test_the_alerts_are_rules_that_fire_when_they_should(
    tool: ToolFinder, what: str, file: Path
) -> None:
    command = [tool("promtool", "prometheus"), what, "rules", str(file)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("accept", [OPENMETRICS, ""], ids=["OpenMetrics", "text"])
def test_many_services_are_told_in_slices_that_make_what_the_library_makes(accept: str) -> None:
    daemon = FakeDaemon()
    for number in range(2 * SAMPLES):
        daemon.add(f"s{number}").open()
    exposition = Exposition(daemon, ServiceHistograms(), LoopLag(daemon.clock))
    body = exposition.answer(accept).body
    assert not isinstance(body, bytes)
    slices = [one for one in body if isinstance(one, bytes)]
    assert max(one.count(b"\n") for one in slices) <= SAMPLES
    encode, _ = choose_encoder(accept)
    assert without_times(b"".join(slices)) == without_times(encode(exposition.registry))


def without_times(text: bytes) -> list[bytes]:
    """Return the lines, but for those about the process, whose figures change."""
    return [line for line in text.splitlines() if not line.startswith(b"process_")]
