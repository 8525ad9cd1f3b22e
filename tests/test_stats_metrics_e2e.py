"""A real Prometheus scrapes a real daemon, and is queried."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients import LOOPBACK, ask, connect, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, wait_until

pytestmark = pytest.mark.dependencies

INI = """
[service:multi]
kind = multi
listen = tcp:0:interface=127.0.0.1
[service:datagrams]
kind = udp
listen = udp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
"""

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: sockd
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """A running server."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/api/v1/query?"

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an expression."""
        url = self._url + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            result: list[Any] = json.load(answer)["data"]["result"]
        return result


@contextmanager
def prometheus(program: str, folder: Path, target: str) -> Iterator[Prometheus]:
    """Run a server that scrapes a target, on a port that is free."""
    file = folder / "prometheus.yml"
    file.write_text(CONFIGURATION.format(target=target), encoding="ascii")
    command = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:0",
    ]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
        try:
            yield Prometheus(wait_until(lambda: ready(log), "Prometheus is ready"))
        finally:
            process.kill()


def ready(log: Path) -> str:
    """Return where a server listens, once it answers."""
    said = log.read_text("utf-8")
    found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', said)
    return found[1] if found and "Server is ready" in said else ""


def test_prometheus_scrapes_and_answers_a_query(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    sockd = run_sockd(INI)
    with connect(sockd.port("multi")) as client, udp_client() as datagrams:
        assert ask(client, b"hello") == b"hello"
        datagrams.sendto(b"x", (LOOPBACK, sockd.port("datagrams")))
        assert datagrams.recv(10) == b"x"
        target = urlsplit(sockd.stats_url).netloc
        with prometheus(tool("prometheus"), tmp_path, target) as server:
            (active,) = wait_until(lambda: server.query('sockd_connections{service="multi"}'))
            assert active["value"][1] == "1"
            labels = {"instance": target, "job": "sockd", "service": "multi"}
            assert active["metric"] == {"__name__": "sockd_connections", **labels}
            (traffic,) = server.query('sockd_received_bytes_total{service="multi"}')
            assert traffic["value"][1] == "5"
            (told,) = server.query("sockd_sent_datagrams_total")
            assert told["value"][1] == "1"
            assert server.query("up")[0]["value"][1] == "1"
            lag = wait_until(lambda: server.query("sockd_event_loop_lag_seconds_count > 0"))
            assert len(lag) == 1
