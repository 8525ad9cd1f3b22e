"""The stats endpoint of a real daemon, checked with curl and ss."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.certificates import TLSFiles
from tests.clients import LOOPBACK, ask, connect, connected, receive_to_end, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd, wait_until

pytestmark = pytest.mark.dependencies

INI = """
[sockd]
name = class
[service:multi]
kind = multi
listen = tcp:0:interface=127.0.0.1
[service:datagrams]
kind = udp
listen = udp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
hosts = lab.example
"""


class Curl:
    """Real curl against one daemon."""

    def __init__(self, program: str, sockd: Sockd) -> None:
        self._program = program
        self.url = sockd.stats_url

    def __call__(self, path: str, *options: str) -> tuple[int, str]:
        """Return the status and the body."""
        words = [self._program, "-s", "-m", "20", "-w", "\n%{http_code}", *options]
        run = subprocess.run(
            [*words, self.url + path], capture_output=True, encoding="utf-8", check=True
        )
        body, _, status = run.stdout.rpartition("\n")
        return int(status), body

    def json(self, path: str, *options: str) -> tuple[int, Any]:
        """Return the status and the JSON."""
        status, body = self(path, *options)
        return status, json.loads(body)


@pytest.fixture
def sockd(run_sockd: RunSockd) -> Sockd:
    return run_sockd(INI)


@pytest.fixture
def curl(tool: ToolFinder, sockd: Sockd) -> Curl:
    return Curl(tool("curl"), sockd)


def raw(sockd: Sockd, request: bytes) -> bytes:
    """Return all that comes back to a client that sends bytes and closes its side."""
    with connect(urlsplit(sockd.stats_url).port or 0) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return receive_to_end(client)


def test_curl_reads_every_path(sockd: Sockd, curl: Curl) -> None:
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"Hello, world") == b"Hello, world"
        status, text = curl("/")
        assert status == 200
        assert "/ports" in text
        assert curl.json("/health") == (200, {"status": "ok"})
        status, stats = curl.json("/stats")
        assert (status, stats["daemon"]["name"], stats["daemon"]["pid"]) == (
            200,
            "class",
            sockd.pid,
        )
        assert (stats["totals"]["bytes_in"], stats["totals"]["active"]) == (12, 1)
        status, services = curl.json("/services")
        assert [one["name"] for one in services["services"]] == ["multi", "datagrams"]
        assert curl.json("/services/multi") == (200, services["services"][0])
        _, listed = curl.json("/connections?service=multi&peer=127.0.0.1&state=all&limit=5")
        (connection,) = listed["connections"]
        assert connection["peer"] == {"host": LOOPBACK, "port": client.getsockname()[1]}
        assert connection["tcp"]["state"] == "established"
        assert curl.json(f"/connections/{connection['id']}")[1]["bytes_out"] == 12
        assert [row["service"] for row in curl.json("/ports")[1]["ports"]] == ["multi", "datagrams"]


def test_curl_reads_tables(sockd: Sockd, curl: Curl) -> None:
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"hello") == b"hello"
        end = f"{LOOPBACK}:{client.getsockname()[1]}"
        for path in ("/connections", "/ports"):
            _, text = curl(path, "-H", "Accept: text/plain")
            assert end in text.splitlines()[1].split()
        _, text = curl("/connections?format=csv")
        assert text.splitlines()[1].startswith("1,multi,multi,tcp,open,127.0.0.1,")


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/nope", (), 404),
        ("/connections/999", (), 404),
        ("/services/nope", (), 404),
        ("/connections?state=ajar", (), 400),
        ("/connections?limit=0", (), 400),
        ("/connections?service=nope", (), 400),
        ("/stats", ("-X", "POST"), 405),
        ("/stats", ("-d", "a=b"), 405),
        ("/stats", ("-X", "DELETE"), 405),
        ("/stats", ("-H", "Host: evil.example"), 421),
        ("/stats", ("-H", "Host: 192.0.2.1:8007"), 421),
        ("/stats", ("-H", "Host:"), 400),
        ("/stats", ("-H", "Host: local host"), 400),
    ],
)
def test_curl_gets_errors_in_json(
    curl: Curl, path: str, options: tuple[str, ...], status: int
) -> None:
    found, answer = curl.json(path, *options)
    assert found == status
    assert list(answer) == ["error"]


@pytest.mark.parametrize(
    "options",
    [
        ("-H", "Host: LOCALHOST."),
        ("-H", "Host: [::1]:8007"),
        ("-H", "Host: lab.example"),
        ("-0", "-H", "Host:"),
    ],
)
def test_curl_may_use_the_known_names(curl: Curl, options: tuple[str, ...]) -> None:
    assert curl.json("/health", *options) == (200, {"status": "ok"})


def test_head_has_the_headers_of_get(curl: Curl) -> None:
    for path in ("/", "/health", "/stats", "/connections", "/ports", "/nope"):
        heads = [curl(path, *options)[1] for options in (("-I",), ("-D", "-", "-o", "/dev/null"))]
        first, second = (
            re.sub(r"(?i)^(date|content-length):.*$", r"\1:", head, flags=re.MULTILINE).split()
            for head in heads
        )
        assert first == second


def test_rude_clients_get_short_answers_and_leave_no_trace(sockd: Sockd) -> None:
    port = urlsplit(sockd.stats_url).port
    get = b"GET /health HTTP/1.1\r\n"
    for request, status in [
        (get + b"\r\n", b"400"),
        (get + b"Host: localhost\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"421"),
        (
            b"GET http://localhost:%d/health HTTP/1.1\r\nHost: localhost\r\n\r\n" % (port or 0),
            b"200",
        ),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
        (b"CONNECT evil:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
        (b"GET /health HTTP/1.0\r\n\r\n", b"200"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
    ]:
        assert raw(sockd, request).split(b" ")[1] == status, request
    assert "Traceback" not in sockd.output
    assert sockd.get("/health") == {"status": "ok"}


def test_many_requests_at_once_from_a_client_that_closes_its_side(sockd: Sockd) -> None:
    answer = raw(sockd, b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 300


def test_a_client_pages_through_five_hundred_connections(sockd: Sockd, curl: Curl) -> None:
    with connected(sockd.port("multi"), 500) as clients:
        wait_until(lambda: sockd.service("multi")["active"] == 500)
        seen: list[int] = []
        ports: set[int] = set()
        after: int | None = 0
        while after is not None:
            _, page = curl.json(f"/connections?limit=77&after={after}")
            seen += [one["id"] for one in page["connections"]]
            ports |= {one["peer"]["port"] for one in page["connections"]}
            after = page["next"]
        assert seen == sorted(set(seen))
        assert ports == {client.getsockname()[1] for client in clients}
        _, all_at_once = curl.json("/connections?limit=1000000")
        assert [one["id"] for one in all_at_once["connections"]] == seen


@contextmanager
def mixed_clients(sockd: Sockd, count: int) -> Iterator[None]:
    """Hold so many TCP connections and as many connected UDP sockets open."""
    address = (LOOPBACK, sockd.port("datagrams"))
    with ExitStack() as stack:
        stack.enter_context(connected(sockd.port("multi"), count))
        for _ in range(count):
            client = stack.enter_context(udp_client())
            client.connect(address)
            assert ask(client, b"x") == b"x"
        yield


def four_tuples_of_ss(ss: str, ports: tuple[int, ...]) -> set[tuple[str, str, str]]:
    """Return protocol, server and client end of what the clients' sockets are connected to."""
    words = " or ".join(f"dport = :{port}" for port in ports)
    run = subprocess.run(
        [ss, "-Htun", f"( {words} )"], capture_output=True, encoding="utf-8", check=True
    )
    rows = [line.split() for line in run.stdout.splitlines()]
    return {(row[0], row[5], row[4]) for row in rows}


def test_the_four_tuples_are_those_that_ss_shows(sockd: Sockd, tool: ToolFinder) -> None:
    ss = tool("ss", "iproute2")
    ports = sockd.port("multi"), sockd.port("datagrams")
    with mixed_clients(sockd, 100):
        wait_until(lambda: sockd.service("multi")["active"] == 100)
        listed = sockd.get("/connections")["connections"]
        tuples = {
            (one["transport"], *("{host}:{port}".format(**one[end]) for end in ("local", "peer")))
            for one in listed
        }
        assert len(tuples) == 200
        assert tuples == four_tuples_of_ss(ss, ports)
        for row, port in zip(sockd.get("/ports")["ports"], ports, strict=True):
            assert (row["port"], row["distinct_local_ports"]) == (port, 1)
            assert row["distinct_peer_ports"] == 100
            (peer,) = row["peers"]
            assert (peer["host"], len(set(peer["ports"]))) == (LOOPBACK, 100)


def test_a_reader_that_stops_reading_holds_nobody_up(sockd: Sockd) -> None:
    request = b"GET /connections HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(sockd.port("multi"), 300), connect(urlsplit(sockd.stats_url).port or 0) as slow:
        slow.settimeout(0.5)
        with pytest.raises(TimeoutError):  # the endpoint stops reading from who does not read
            deque(map(slow.sendall, repeat(request * 100)), 0)
        assert sockd.get("/health") == {"status": "ok"}
        with connect(sockd.port("multi")) as client:
            assert ask(client, b"hello") == b"hello"


def test_a_unix_socket_serves_localhost(run_sockd: RunSockd, tool: ToolFinder) -> None:
    sockd = run_sockd(INI.replace("tcp:0:interface=127.0.0.1\nhosts", "unix:stats.sock\nhosts"))
    words = ["-s", "-m", "20", "--unix-socket", str(sockd.folder / "stats.sock")]
    run = subprocess.run(
        [tool("curl"), *words, "http://localhost/health"], capture_output=True, check=True
    )
    assert json.loads(run.stdout) == {"status": "ok"}


def test_tls_carries_a_long_answer(
    run_sockd: RunSockd, tool: ToolFinder, tls_files: TLSFiles
) -> None:
    sockd = run_sockd(
        INI.replace("tcp:0:interface=127.0.0.1\nhosts", f"{tls_files.endpoint(0)}\nhosts")
    )
    port = int(sockd.wait_for(r"https?://127\.0\.0\.1:(\d+)/ports")[1])
    words = [tool("curl"), "-s", "-m", "20", "--cacert", str(tls_files.certificate)]

    def listed() -> int:
        url = f"https://localhost:{port}/connections"
        run = subprocess.run([*words, url], capture_output=True, check=True)
        return len(json.loads(run.stdout)["connections"])

    with connected(sockd.port("multi"), 300):
        wait_until(lambda: listed() == 300)


def test_ipv6_and_all_addresses(run_sockd: RunSockd, tool: ToolFinder) -> None:
    sockd = run_sockd(INI.replace("tcp:0:interface=127.0.0.1\nhosts", "tcp6:0\nhosts"))
    port = int(sockd.wait_for(r"http://\S+:(\d+)/ports")[1])
    for host, status in [("[::1]", b"200"), ("127.0.0.1", b"200"), ("localhost", b"200")]:
        words = ["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}"]
        run = subprocess.run(
            [tool("curl"), *words, f"http://{host}:{port}/health"], capture_output=True, check=True
        )
        assert run.stdout == status


def test_at_the_end_open_http_connections_are_closed(sockd: Sockd) -> None:
    with connect(urlsplit(sockd.stats_url).port or 0) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.settimeout(DEADLINE)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert sockd.stop() == 0
        assert client.recv(65536) == b""
