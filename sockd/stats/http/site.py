"""The HTTP server of the stats endpoint: connections, requests, and common headers.

It uses the parser of :mod:`twisted.web.http`, but not the resources, sessions and access log of
:mod:`twisted.web.server`: one guard checks the requests for all paths, and clients that poll would
flood the log.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocolNegotiationFactory,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request, datetimeToString
from zope.interface import implementer

import sockd
from sockd.net.server_endpoints import known_address
from sockd.net.stream_transport import untaken
from sockd.stats.descriptors import MAX_CONNECTIONS
from sockd.stats.http.answers import BAD_REQUEST, DELIVERY_TIMEOUT, REASONS, Answer, encoded
from sockd.stats.http.delivery import Delivery, IExchange
from sockd.stats.http.guard import Head, admitted
from sockd.stats.http.hosts import KnownHosts
from sockd.stats.http.target import Target

REQUEST_TIME = 60.0
"""How long a client may take to send a request, in seconds.

The time starts at the accept or at the end of the last answer. Partial data does not extend it.
"""

MAX_CHANNELS = MAX_CONNECTIONS
"""The maximum number of connections. One more replaces the one that has waited longest."""

SHUTDOWN_TIMEOUT = 1.0
"""How long running answers may take when the endpoint stops, in seconds."""


class DiscardedBody(BytesIO):
    """The body of a request, which is discarded: no path uses one."""

    def write(self, data: Any) -> int:
        """Discard the data."""
        return len(data)


class StatsRequest(Request):
    """A request that is being parsed."""

    channel: StatsChannel

    def gotLength(self, length: int | None) -> None:
        """Discard the body, however long it is."""
        self.content = DiscardedBody()

    def process(self) -> None:
        """Answer the complete request."""
        self.channel.is_serving = True
        self.channel.factory.deliver(self)


@implementer(IExchange)
class Exchange:
    """A request and its answer."""

    def __init__(self, request: Request, channel: StatsChannel) -> None:
        self._request = request
        self._channel = channel

    def head(self) -> Head:
        """Return the head of the request, for the guard."""
        request = self._request
        values = request.requestHeaders.getRawHeaders
        return Head(
            method=request.method,
            uri=request.uri,
            version=request.clientproto,
            hosts=tuple(values(b"Host", [])),
            arrived_at=known_address(request.getHost()).host,
            accept=b",".join(values(b"Accept", [])).decode("latin-1"),
            last_event_id=b"".join(values(b"Last-Event-ID", [])[-1:]).decode("latin-1"),
        )

    def begin(self, answer: Answer) -> None:
        """Send the status and the headers."""
        request = self._request
        self._channel.is_endless = answer.release is not None and request.method != b"HEAD"
        self._channel.end_timeout = answer.end_timeout
        request.setResponseCode(answer.status, REASONS[answer.status].encode("ascii"))
        for name, value in self._headers(answer).items():
            request.responseHeaders.setRawHeaders(name, [value])
        request.write(b"")

    def send(self, data: bytes) -> None:
        """Send part of the body."""
        self._request.write(data)

    def complete(self) -> None:
        """Finish the answer."""
        self._request.unregisterProducer()
        self._request.finish()

    def untaken(self) -> int:
        """Return how many bytes are in the kernel that the peer has not acknowledged."""
        return self._channel.factory.untaken(self._channel.transport)

    def abort(self) -> None:
        """Abort the connection."""
        self._channel.transport.abortConnection()

    def feed_from(self, producer: IPushProducer) -> None:
        """Register the producer that the connection pauses and resumes."""
        self._request.registerProducer(producer, True)

    def lost(self) -> Deferred[None]:
        """Return a Deferred that fails if the client disconnects before the answer is complete."""
        return self._request.notifyFinish()

    def _headers(self, answer: Answer) -> dict[str, str]:
        request = self._request
        headers = _headers(answer)
        is_long = not isinstance(answer.body, bytes)
        if is_long and request.method == b"HEAD" and request.clientproto == b"HTTP/1.1":
            headers["Transfer-Encoding"] = "chunked"
        return headers


def _headers(answer: Answer) -> dict[str, str]:
    """Return the headers of an answer, with its length if it is known."""
    headers = {
        "Date": datetimeToString().decode("ascii"),
        "Server": f"sockd/{sockd.__version__}",
        "Content-Type": answer.content_type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **answer.headers,
    }
    if isinstance(answer.body, bytes):
        headers["Content-Length"] = str(len(answer.body))
    return headers


@implementer(IHalfCloseableProtocol)
class StatsChannel(HTTPChannel):
    """A connection. A client that half-closes it, as `nc -N` does, still gets its answers.

    :ivar is_serving: whether an answer is being sent.
    :ivar is_endless: whether that answer is endless. It ends when the client half-closes, and the
        connection ends with it.
    :ivar end_timeout: how long the client may take to read the rest when the connection is closed,
        in seconds.
    """

    factory: StatsSite
    transport: ITCPTransport
    requestFactory = StatsRequest

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_serving = False
        self.is_endless = False
        self.end_timeout = DELIVERY_TIMEOUT
        self._is_read_out = False
        self._is_closing = False
        self._abort_call: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Register the connection with the site."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self.factory.arrived(self)

    def resetTimeout(self) -> None:
        """Do nothing: partial data must not extend the timeout."""

    def readConnectionLost(self) -> None:
        """Close after the answers to the received requests are sent."""
        self._is_read_out = True
        if not self.is_serving:
            self.loseConnection()
        elif self.is_endless:
            self.transport.abortConnection()

    def writeConnectionLost(self) -> None:
        """Do nothing: the sending side is never closed alone."""

    def requestDone(self, request: Request) -> None:
        """Continue with the next request, if there is one."""
        if self.is_endless:
            self.persistent = 0
        self.is_serving = self.is_endless = False
        super().requestDone(request)  # type: ignore[no-untyped-call]
        if self._is_read_out and not self.is_serving:
            self.loseConnection()

    def headerReceived(self, line: bytes) -> bool:
        """Parse a header; a length with too many digits for Python is a bad request."""
        try:
            is_sound: bool = super().headerReceived(line)  # type: ignore[no-untyped-call]
        except ValueError:
            self._respondToBadRequestAndDisconnect()
            return False
        return is_sound

    def lineLengthExceeded(self, line: bytes) -> None:
        """Answer a line that is too long with an error."""
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Answer a bad request with JSON; Twisted sends only a status line.

        Twisted has no public name for this method. If it were renamed, Twisted's answer would be
        sent.
        """
        body = encoded({"error": "not a valid HTTP request, or its head is too long"}) + b"\n"
        headers = _headers(Answer(body, BAD_REQUEST)) | {"Connection": "close"}
        lines = [f"HTTP/1.1 {BAD_REQUEST} {REASONS[BAD_REQUEST]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close after the written data is sent, or after ``end_timeout``."""
        if not self._is_closing:
            self._is_closing = True
            abort = self.transport.abortConnection
            self._abort_call = self.factory.reactor.callLater(self.end_timeout, abort)
            super().loseConnection()  # type: ignore[no-untyped-call]

    def hang_up(self) -> None:
        """Close after the current answer is sent."""
        self.persistent = 0
        if not self.is_serving:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Unregister the connection."""
        if self._abort_call is not None and self._abort_call.active():
            self._abort_call.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.factory.lost(self)


@implementer(IProtocolNegotiationFactory)
class StatsSite(HTTPFactory):
    """Builds the connections and answers their requests.

    :param answer: makes the answer to a target.
    :param untaken: returns how many bytes the peer of a connection has not acknowledged.
    :ivar known: the hosts that requests may name.
    :ivar channels: the open connections, oldest first.
    """

    noisy = False
    protocol = StatsChannel  # type: ignore[assignment]

    def __init__(
        self,
        answer: Callable[[Target], Answer],
        known: KnownHosts,
        reactor: IReactorTime,
        cooperator: Cooperator,
        untaken: Callable[[ITransport], int] = untaken,
    ) -> None:
        super().__init__(timeout=REQUEST_TIME, reactor=reactor)
        self._answer = answer
        self.known = known
        self._cooperator = cooperator
        self.untaken = untaken
        self._empty_waiters: list[Deferred[None]] = []
        self.channels: dict[StatsChannel, None] = {}

    def acceptableProtocols(self) -> list[bytes]:
        """Return the protocols for ALPN: Twisted rejects clients that offer only others."""
        return [b"http/1.1", b"http/1.0"]

    def logPrefix(self) -> str:
        """Return the name for Twisted's own log lines."""
        return "stats"

    def startFactory(self) -> None:
        """Do nothing: no access log is written."""

    def stopFactory(self) -> None:
        """Do nothing."""

    def log(self, request: Request) -> None:
        """Do nothing."""

    def deliver(self, request: StatsRequest) -> None:
        """Start to answer a request."""
        exchange = Exchange(request, request.channel)

        def make() -> Answer:
            return self._answer(admitted(exchange.head(), self.known))

        Delivery(exchange, make, request.method == b"HEAD", self.reactor, self._cooperator)

    def arrived(self, channel: StatsChannel) -> None:
        """Add a connection; if there are too many, abort one."""
        self.channels[channel] = None
        if len(self.channels) > MAX_CHANNELS:
            one = self._most_dispensable()
            del self.channels[one]
            one.transport.abortConnection()

    def lost(self, channel: StatsChannel) -> None:
        """Remove a connection."""
        self.channels.pop(channel, None)
        if not self.channels:
            waiters, self._empty_waiters = self._empty_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    async def close(self) -> None:
        """Close all connections after their current answers, or after :data:`SHUTDOWN_TIMEOUT`."""
        for channel in list(self.channels):
            channel.hang_up()
        if not self.channels:
            return
        stragglers = self.reactor.callLater(SHUTDOWN_TIMEOUT, self._abort)
        empty: Deferred[None] = Deferred()
        self._empty_waiters.append(empty)
        await empty
        if stragglers.active():
            stragglers.cancel()

    def _most_dispensable(self) -> StatsChannel:
        """Return the oldest connection without a complete request, or else with a finite answer.

        Endless answers are limited elsewhere. If all others are endless, it is the newest
        connection.
        """
        *old, newest = self.channels
        waiting = (channel for channel in old if not channel.is_serving)
        finite = (channel for channel in old if not channel.is_endless)
        return next(waiting, None) or next(finite, newest)

    def _abort(self) -> None:
        for channel in list(self.channels):
            channel.transport.abortConnection()
