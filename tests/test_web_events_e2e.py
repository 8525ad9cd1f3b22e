"""`/events` of a real daemon, read by curl while clients come and go."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM

from tests.clients import LOOPBACK, ask, connect, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE
from tests.sse import Sent, gathered

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
        one for one in stream if one.word == word and service in ("", one.data.get("service"))
    )


def test_curl_sees_connections_come_and_go_to_the_end(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    sockd = run_sockd(INI)
    with watching(tool("curl"), sockd.stats_url) as stream:
        assert next(stream).word == "hello"
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


def test_the_stream_goes_on_while_the_daemon_drains_and_ends_with_it(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    sockd = run_sockd(INI)
    with watching(tool("curl"), sockd.stats_url) as stream:
        assert next(stream).word == "hello"
        with connect(sockd.port("multi")):
            until(stream, "accept")
            sockd.send_signal(SIGTERM)
            while not until(stream, "totals").data["draining"]:
                pass
        assert sockd.wait() == 0
        assert [one.word for one in stream][-1] == "close"
