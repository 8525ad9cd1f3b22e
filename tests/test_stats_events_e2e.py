"""`/events` of a real daemon, read by curl while clients connect and disconnect."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM

import pytest

from sockd.stats.events.subscriber import STALL_TIMEOUT
from tests.certificates import TLSFiles
from tests.clients import LOOPBACK, ask, connect, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, Sockd, wait_until
from tests.sse import Sent, gathered
from tests.vitals import descriptors

INI = """
[sockd]
drain = 30s
[service:multi]
kind = multi
listen = tcp:0:interface=127.0.0.1
max_connections = 1
[service:datagrams]
kind = udp
listen = udp:0:interface=127.0.0.1
idle_timeout = 1s
[stats]
listen = tcp:0:interface=127.0.0.1
"""

BUSY = """
[service:multi]
kind = multi
listen = tcp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1, {tls}
"""


@contextmanager
def watching(curl: str, url: str, *options: str) -> Iterator[Iterator[Sent]]:
    """Read the events of a daemon as curl prints them."""
    words = [curl, "-sN", "-m", str(DEADLINE), *options, f"{url}/events"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="ascii") as process:
        assert process.stdout is not None
        yield gathered(process.stdout)
        process.kill()


def until(stream: Iterator[Sent], word: str, service: str = "") -> Sent:
    return next(
        one for one in stream if one.type == word and service in ("", one.data.get("service"))
    )


def test_curl_sees_connections_come_and_go_to_the_end(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    sockd = run_sockd(INI)
    with watching(tool("curl"), sockd.stats_url) as stream:
        assert next(stream).type == "hello"
        with connect(sockd.port("multi")) as client:
            accept = until(stream, "accept")
            peer = {"host": LOOPBACK, "port": client.getsockname()[1]}
            assert (accept.data["service"], accept.data["connection"]["peer"]) == ("multi", peer)
            with connect(sockd.port("multi")):
                refuse = until(stream, "refuse")
            assert (refuse.data["service"], refuse.data["reason"]) == ("multi", "full")
            assert ask(client, b"hello") == b"hello"
        close = until(stream, "close")
        assert (close.data["connection"]["bytes_in"], close.data["reason"]) == (5, "eof")
        with udp_client() as client:
            client.sendto(b"x", (LOOPBACK, sockd.port("datagrams")))
            flow = until(stream, "accept", "datagrams").data["connection"]
            assert flow["transport"] == "udp"
            end = until(stream, "close", "datagrams").data
            assert (end["connection"]["id"], end["reason"]) == (flow["id"], "idle")
    with watching(tool("curl"), sockd.stats_url, "-H", f"Last-Event-ID: {refuse.id}") as stream:
        assert until(stream, "close").id == close.id


def come_and_go(sockd: Sockd) -> None:
    """Be a client for a moment, which makes events."""
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"x") == b"x"


def stalled(port: int, context: ssl.SSLContext | None) -> socket.socket:
    """Ask for the events over a connection with little room, and read none of them."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    reader.settimeout(DEADLINE)
    reader.connect((LOOPBACK, port))
    if context is not None:
        reader = context.wrap_socket(reader, server_hostname="localhost")
    reader.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return reader


@pytest.mark.parametrize("pause", [0.05, 0.002], ids=["a little", "a lot"])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what has arrived")
def test_a_reader_that_reads_nothing_is_disconnected_after_ten_seconds(
    run_sockd: RunSockd, tls_files: TLSFiles, pause: float
) -> None:
    sockd = run_sockd(BUSY.format(tls=tls_files.endpoint(0)))
    plain = int(sockd.wait_for(r"stats: curl http://[^:]+:(\d+)")[1])
    tls = int(sockd.wait_for(r"stats: curl https://[^:]+:(\d+)")[1])
    come_and_go(sockd)
    before = descriptors(sockd)
    began = time.monotonic()
    with stalled(plain, None), stalled(tls, tls_files.client_context()):
        while sockd.output.count("did not keep up and was disconnected") < 2:
            come_and_go(sockd)
            time.sleep(pause)  # the longer, the less there is to say
        assert STALL_TIMEOUT <= time.monotonic() - began < 2 * STALL_TIMEOUT
        wait_until(lambda: descriptors(sockd) <= before, "both connections are closed")


def test_the_stream_goes_on_while_the_daemon_drains_and_ends_with_it(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    sockd = run_sockd(INI)
    with watching(tool("curl"), sockd.stats_url) as stream:
        assert next(stream).type == "hello"
        with connect(sockd.port("multi")):
            until(stream, "accept")
            sockd.send_signal(SIGTERM)
            while not until(stream, "totals").data["draining"]:
                pass
        assert sockd.wait() == 0
        assert [one.type for one in stream][-1] == "close"
