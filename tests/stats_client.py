"""The stats endpoint on a transport in memory, with a fake clock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, ITransport
from twisted.internet.task import Clock, Cooperator
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from sockd.stats.events.stream import EventStream
from sockd.stats.http.delivery import one_slice_a_turn
from sockd.stats.http.hosts import KnownHosts
from sockd.stats.http.site import StatsChannel, StatsSite
from sockd.stats.metrics.scrape import MetricsEndpoint
from sockd.stats.routes import Routes
from sockd.testing import FakeDaemon


@dataclass(frozen=True)
class Reply:
    """One answer, taken apart.

    :ivar body: without the framing of chunks.
    """

    version: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Transport(StringTransport):
    """A transport in memory.

    :ivar is_full: with each write, ask the producer to pause, as a full buffer does.
    :ivar untaken: how many bytes the kernel keeps that the client's system has not taken.
    :ivar aborted: whether the connection was dropped at once.
    """

    is_full = False
    untaken = 0
    aborted = False

    def write(self, data: bytes) -> None:
        """Keep what is sent."""
        super().write(data)  # type: ignore[no-untyped-call]
        if self.is_full and self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Keep what is sent."""
        self.write(b"".join(data))

    def abortConnection(self) -> None:
        """Record that the connection was aborted."""
        self.aborted = True
        self.loseConnection()  # type: ignore[no-untyped-call]


class Client:
    """One connection to the endpoint.

    :ivar transport: the daemon's end of it.
    """

    def __init__(self, site: StatsSite, clock: Clock) -> None:
        peer = IPv4Address("TCP", "127.0.0.1", 50001)
        self.transport = Transport(IPv4Address("TCP", "127.0.0.1", 8007), peer)  # type: ignore[no-untyped-call]
        channel = site.buildProtocol(peer)
        assert isinstance(channel, StatsChannel)
        self.channel = channel
        self._clock = clock
        channel.makeConnection(self.transport)

    @property
    def producer(self) -> IPushProducer:
        """The producer, which the transport pauses while the client does not read."""
        assert self.transport.producer is not None
        producer: IPushProducer = self.transport.producer
        return producer

    def send(self, data: bytes) -> None:
        """Send bytes; nothing is answered before the next turn of the reactor."""
        self.channel.dataReceived(data)

    def leave(self) -> None:
        """Close the connection."""
        self.channel.connectionLost(Failure(ConnectionDone()))

    def taken(self) -> bytes:
        """Return what was sent since the last time."""
        data: bytes = self.transport.value()  # type: ignore[no-untyped-call]
        self.transport.clear()  # type: ignore[no-untyped-call]
        return data


class Endpoint:
    """The endpoint of a fake daemon, without a socket."""

    def __init__(self, daemon: FakeDaemon | None = None, pages: Any = None) -> None:
        self.daemon = daemon or FakeDaemon()
        self.clock = self.daemon.clock
        self.events = EventStream(self.daemon, self.clock)
        self.scrapes = MetricsEndpoint(self.daemon, self.clock)
        own = Routes(self.daemon, self.clock.seconds, self.events, self.scrapes)
        answer = (pages or own).answer
        self.cooperator: Cooperator = one_slice_a_turn(self.clock)
        self.site = StatsSite(answer, KnownHosts([]), self.clock, self.cooperator, _untaken)

    def client(self) -> Client:
        """Return a new connection."""
        return Client(self.site, self.clock)

    def exchange(self, data: bytes) -> list[Reply]:
        """Return the answers to what one client sends."""
        client = self.client()
        client.send(data)
        self.clock.advance(0)
        return replies(client.taken(), data.split(b" ", 1)[0] == b"HEAD")

    def ask(self, path: str, method: str = "GET", *headers: str, version: str = "1.1") -> Reply:
        """Return the one answer to a request."""
        lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""]
        (reply,) = self.exchange("\r\n".join(lines).encode("latin-1"))
        return reply

    def get(self, path: str) -> Any:
        """Return the JSON of an answer that has to be a good one."""
        reply = self.ask(path)
        assert reply.status == 200, reply
        return reply.json


def _untaken(transport: ITransport) -> int:
    assert isinstance(transport, Transport)
    return transport.untaken


def replies(data: bytes, bodiless: bool = False) -> list[Reply]:
    """Take apart all that came over a connection."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = first.split(" ", 2)
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = b""
        if not bodiless:
            body, data = _body(headers, data)
        found.append(Reply(version, int(status), headers, body))
    return found


def _body(headers: dict[str, str], data: bytes) -> tuple[bytes, bytes]:
    """Return the body, and what comes after it."""
    if "content-length" in headers:
        size = int(headers["content-length"])
        assert len(data) >= size
        return data[:size], data[size:]
    if "transfer-encoding" not in headers:
        return data, b""
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        chunk, data = data[:size], data[size + 2 :]
        if not size:
            return body, data
        body += chunk
