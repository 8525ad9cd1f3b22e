"""The stats endpoint in HTTP: its connections, its requests, and what every answer carries.

Built on the parser of :mod:`twisted.web.http`. The resources, sessions and access log of
:mod:`twisted.web.server` are left out: there is one guard before all paths, and a class that
polls would drown the log.
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
"""How long a client may take for a request, from the accept or the end of the last answer, in
seconds. However slowly it sends, nothing that it sends prolongs this."""

MOST_CHANNELS = MAX_CONNECTIONS
"""How many connections there are at once; one more takes the place of the one that waited most."""

SHUTDOWN_TIMEOUT = 1.0
"""When the endpoint stops, how long answers that are under way may take, in seconds."""


class Void(BytesIO):
    """Where the bodies of requests go: no path takes one."""

    def write(self, data: Any) -> int:
        """Drop the data."""
        return len(data)


class StatsRequest(Request):
    """One request, as it is parsed."""

    channel: StatsChannel

    def gotLength(self, length: int | None) -> None:
        """Drop the body, however long it is."""
        self.content = Void()

    def process(self) -> None:
        """Answer, now that the request is here."""
        self.channel.is_serving = True
        self.channel.factory.deliver(self)


@implementer(IExchange)
class Exchange:
    """A request and the answer to it."""

    def __init__(self, request: Request, channel: StatsChannel) -> None:
        self._request = request
        self._channel = channel

    def head(self) -> Head:
        """Return what the guard looks at."""
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
        self._channel.farewell = answer.farewell
        request.setResponseCode(answer.status, REASONS[answer.status].encode("ascii"))
        for name, value in self._headers(answer).items():
            request.responseHeaders.setRawHeaders(name, [value])
        request.write(b"")

    def send(self, data: bytes) -> None:
        """Send a part of the body."""
        self._request.write(data)

    def complete(self) -> None:
        """Enter that all of the answer was sent."""
        self._request.unregisterProducer()
        self._request.finish()

    def untaken(self) -> int:
        """Return how many bytes the kernel keeps that the client's system has not acknowledged."""
        return self._channel.factory.untaken(self._channel.transport)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._channel.transport.abortConnection()

    def feed_from(self, producer: IPushProducer) -> None:
        """Let the connection pause and resume the producer."""
        self._request.registerProducer(producer, True)

    def lost(self) -> Deferred[None]:
        """Return what fails if the client goes before the answer is complete."""
        return self._request.notifyFinish()

    def _headers(self, answer: Answer) -> dict[str, str]:
        request = self._request
        headers = _headers(answer)
        is_long = not isinstance(answer.body, bytes)
        if is_long and request.method == b"HEAD" and request.clientproto == b"HTTP/1.1":
            headers["Transfer-Encoding"] = "chunked"
        return headers


def _headers(answer: Answer) -> dict[str, str]:
    """Return what every answer carries, and its length if that is known."""
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
    """One connection. A client that closes its side, as `nc -N` does, still gets its answers.

    :ivar is_serving: whether an answer is under way.
    :ivar is_endless: whether it has no end of its own, and is over when the client says no more.
        The connection ends with it.
    :ivar farewell: how long the client may take for what was written when it is closed, in
        seconds.
    """

    factory: StatsSite
    transport: ITCPTransport
    requestFactory = StatsRequest

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_serving = False
        self.is_endless = False
        self.farewell = DELIVERY_TIMEOUT
        self._is_read_out = False
        self._is_closing = False
        self._parting: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin, and let the site know."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self.factory.arrived(self)

    def resetTimeout(self) -> None:
        """Do not: what trickles in must not keep the connection open for ever."""

    def readConnectionLost(self) -> None:
        """Close once the answers to what was asked are sent."""
        self._is_read_out = True
        if not self.is_serving:
            self.loseConnection()
        elif self.is_endless:
            self.transport.abortConnection()

    def writeConnectionLost(self) -> None:
        """Do nothing: the sending side is only ever closed together with the other."""

    def requestDone(self, request: Request) -> None:
        """Go on with the next request, if there is one."""
        if self.is_endless:
            self.persistent = 0
        self.is_serving = self.is_endless = False
        super().requestDone(request)  # type: ignore[no-untyped-call]
        if self._is_read_out and not self.is_serving:
            self.loseConnection()

    def headerReceived(self, line: bytes) -> bool:
        """Take a header; a length that is too long to be a number for Python is no request's."""
        try:
            is_sound: bool = super().headerReceived(line)  # type: ignore[no-untyped-call]
        except ValueError:
            self._respondToBadRequestAndDisconnect()
            return False
        return is_sound

    def lineLengthExceeded(self, line: bytes) -> None:
        """Say that what has such a long line is no request."""
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Answer what is no request, with JSON like everything else; Twisted sends a bare status.

        It has no public name for this; if it should find another one, the status is bare again.
        """
        body = encoded({"error": "this is no HTTP request, or has too long a head"}) + b"\n"
        headers = _headers(Answer(body, BAD_REQUEST)) | {"Connection": "close"}
        lines = [f"HTTP/1.1 {BAD_REQUEST} {REASONS[BAD_REQUEST]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close once what was written is sent, which the client must take in a while."""
        if not self._is_closing:
            self._is_closing = True
            abort = self.transport.abortConnection
            self._parting = self.factory.reactor.callLater(self.farewell, abort)
            super().loseConnection()  # type: ignore[no-untyped-call]

    def hang_up(self) -> None:
        """Close once the answer that is under way is sent."""
        self.persistent = 0
        if not self.is_serving:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End, and let the site know."""
        if self._parting is not None and self._parting.active():
            self._parting.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.factory.lost(self)


@implementer(IProtocolNegotiationFactory)
class StatsSite(HTTPFactory):
    """Builds the connections and answers their requests.

    :param answer: makes the answer to a target.
    :param untaken: returns how many bytes the system of a connection's client has not taken.
    :ivar known: the hosts that requests may name.
    :ivar channels: the open connections, the oldest first.
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
        """Return what may be agreed on over TLS: Twisted rejects clients that offer only others."""
        return [b"http/1.1", b"http/1.0"]

    def logPrefix(self) -> str:
        """Return what Twisted's own log lines call it."""
        return "stats"

    def startFactory(self) -> None:
        """Do not open the access log: there is none."""

    def stopFactory(self) -> None:
        """Do not close it."""

    def log(self, request: Request) -> None:
        """Do not write to it."""

    def deliver(self, request: StatsRequest) -> None:
        """Begin to answer a request."""
        exchange = Exchange(request, request.channel)

        def make() -> Answer:
            return self._answer(admitted(exchange.head(), self.known))

        Delivery(exchange, make, request.method == b"HEAD", self.reactor, self._cooperator)

    def arrived(self, channel: StatsChannel) -> None:
        """Take note of a new connection; where there are too many, one of them must go."""
        self.channels[channel] = None
        if len(self.channels) > MOST_CHANNELS:
            one = self._most_dispensable()
            del self.channels[one]
            one.transport.abortConnection()

    def lost(self, channel: StatsChannel) -> None:
        """Forget a connection that is gone."""
        self.channels.pop(channel, None)
        if not self.channels:
            waiters, self._empty_waiters = self._empty_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    async def close(self) -> None:
        """Close all connections: at once, or when their answer is sent, which it soon must be."""
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
        """Return the oldest one without a whole request, else the oldest with a long answer.

        Answers without an end are few, as whoever makes them sees to; if there is nothing else, it
        is the newest connection that must go.
        """
        *old, newest = self.channels
        waiting = (channel for channel in old if not channel.is_serving)
        finite = (channel for channel in old if not channel.is_endless)
        return next(waiting, None) or next(finite, newest)

    def _abort(self) -> None:
        for channel in list(self.channels):
            channel.transport.abortConnection()
