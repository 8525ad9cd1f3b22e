"""The HTTP server: methods, headers, slow and misbehaving clients, and its shutdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolNegotiationFactory
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockd.stats.http.answers import DELIVERY_TIMEOUT, Answer
from sockd.stats.http.delivery import IExchange
from sockd.stats.http.site import (
    MAX_CHANNELS,
    REQUEST_TIME,
    SHUTDOWN_TIMEOUT,
    Exchange,
    StatsRequest,
)
from sockd.stats.http.target import Target
from sockd.stats.slices import RECORDS_PER_SLICE
from tests.stats_client import Client, Endpoint, replies

pytestmark = pytest.mark.dependencies

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
PATHS = ("/", "/health", "/stats", "/services", "/services/echo", "/connections", "/ports")


class Broken:
    """Pages that fail, at once or after so many slices."""

    def __init__(self, slices: int | None = None) -> None:
        self.slices = slices

    def answer(self, _: Target) -> Answer:
        """Fail."""
        if self.slices is None:
            self._fail()
        return Answer(self._body())

    def _body(self) -> Iterator[bytes]:
        for _ in range(self.slices or 0):
            yield b"[" * 10
        self._fail()

    def _fail(self) -> None:
        text = "what only the log may show"
        raise LookupError(text)


class Endless:
    """Pages with an answer that has no end."""

    def answer(self, _: Target) -> Answer:
        """Begin, and wait for ever."""
        body: list[bytes | Deferred[None]] = [b"", Deferred()]
        return Answer(iter(body), release=lambda: None)


@implementer(ILogObserver)
class Log:
    """Keeps what is logged, or only the failures."""

    def __init__(self, only_failures: bool = False) -> None:
        self._only_failures = only_failures
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Keep the event."""
        if "log_failure" in event or not self._only_failures:
            self.events.append(event)


@pytest.fixture
def failures() -> Iterator[list[LogEvent]]:
    """Gather the failures that are logged."""
    log = Log(only_failures=True)
    globalLogPublisher.addObserver(log)
    yield log.events
    globalLogPublisher.removeObserver(log)


def crowded(count: int = 20 * RECORDS_PER_SLICE) -> Endpoint:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    for _ in range(count):
        echo.open()
    return endpoint


def pull(client: Client) -> int:
    """Take what is there as a slow reader does, and return how much it was."""
    return len(client.taken())


@pytest.mark.parametrize("path", [*PATHS, "/connections/1", "/nope", "/connections?state=x"])
def test_head_has_the_headers_of_get_and_no_body(path: str) -> None:
    endpoint = crowded(1)
    get, head = endpoint.ask(path), endpoint.ask(path, "HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert get.body.endswith(b"\n")


@pytest.mark.parametrize("path", [*PATHS, "/nope"])
def test_every_answer_carries_the_same_headers(path: str) -> None:
    headers = crowded(1).ask(path).headers
    kind = "text/plain" if path == "/" else "application/json"
    assert headers["content-type"] == f"{kind}; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["server"].startswith("sockd/")
    assert headers["date"].endswith(" GMT")


def test_other_methods_are_refused_in_json() -> None:
    for method in ("POST", "OPTIONS", "BREW"):
        reply = Endpoint().ask("/stats", method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
        assert list(reply.json) == ["error"]


def test_an_unknown_host_is_told_so_in_json() -> None:
    (reply,) = Endpoint().exchange(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert (reply.status, list(reply.json)) == (421, ["error"])
    assert b"evil" not in reply.body


def test_http_1_0_is_answered_without_chunks_and_closed() -> None:
    endpoint = crowded(1)
    client = endpoint.client()
    client.send(b"GET /connections HTTP/1.0\r\n\r\n")
    endpoint.clock.advance(0)
    (reply,) = replies(client.taken())
    assert len(reply.json["connections"]) == 1
    assert "transfer-encoding" not in reply.headers
    assert client.transport.disconnecting


def test_a_head_over_http_1_0_promises_no_chunks() -> None:
    (reply,) = Endpoint().exchange(b"HEAD /connections HTTP/1.0\r\n\r\n")
    assert "transfer-encoding" not in reply.headers


def test_a_body_is_dropped_and_the_next_request_is_answered() -> None:
    endpoint = Endpoint()
    body = b"x" * 1_000_000
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    first, second = endpoint.exchange(head + body + GET % b"/health")
    assert first.status == second.status == 200


def test_a_posted_form_is_not_even_parsed() -> None:
    form = b"a=b&state=closed"
    kind = b"application/x-www-form-urlencoded"
    request = b"POST /connections HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\n" % kind
    (reply,) = Endpoint().exchange(request + b"Content-Length: %d\r\n\r\n" % len(form) + form)
    assert reply.status == 405


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 600 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_garbage_ends_the_connection_and_is_no_failure(
    data: bytes, failures: list[LogEvent]
) -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    client.send(data)
    endpoint.clock.advance(0)
    assert client.transport.disconnecting
    (reply,) = replies(client.taken())
    assert reply.status == 400
    assert reply.headers["connection"] == "close"
    assert set(reply.json) == {"error"}
    assert failures == []


def test_many_requests_in_one_read_are_answered_one_a_turn_and_in_order() -> None:
    endpoint = crowded(1)
    client = endpoint.client()
    client.send(b"".join(GET % path for path in (b"/health", b"/stats", b"/nope")) * 500)
    assert client.taken() == b""
    endpoint.clock.advance(0)
    found = replies(client.taken())
    assert [reply.status for reply in found] == [200, 200, 404] * 500


def test_the_answer_stops_while_the_client_does_not_read() -> None:
    endpoint = crowded()
    client = endpoint.client()
    client.send(GET % b"/connections?limit=100000")
    client.producer.pauseProducing()
    client.producer.pauseProducing()
    endpoint.clock.advance(0)
    assert pull(client) == 0
    client.producer.resumeProducing()
    client.producer.resumeProducing()
    endpoint.clock.advance(0)
    assert pull(client) > 100_000


def test_a_slow_reader_never_has_more_than_a_slice_waiting() -> None:
    endpoint = crowded()
    client = endpoint.client()
    client.transport.is_full = True
    client.send((GET % b"/connections?limit=100000") * 3)
    largest = turns = 0
    body = b""
    while body.count(b"\r\n0\r\n\r\n") < 3:
        endpoint.clock.advance(0)
        data = client.taken()
        largest, turns, body = max(largest, len(data)), turns + 1, body + data
        client.producer.resumeProducing()
    assert largest < 1000 * RECORDS_PER_SLICE
    assert turns > 3 * 20
    assert [len(reply.json["connections"]) for reply in replies(body)] == [
        20 * RECORDS_PER_SLICE
    ] * 3


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    endpoint = crowded()
    client = endpoint.client()
    client.send(GET % b"/connections")
    client.producer.pauseProducing()
    endpoint.clock.advance(DELIVERY_TIMEOUT - 1)
    assert not client.transport.aborted
    endpoint.clock.advance(1)
    assert client.transport.aborted
    client.leave()
    endpoint.clock.advance(1)
    assert endpoint.clock.getDelayedCalls() == []


def test_a_head_waits_for_its_reader_too_and_does_not_hold_it_against_him() -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    client.transport.is_full = True
    client.send(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
    endpoint.clock.advance(0)
    assert len(replies(client.taken(), bodiless=True)) == 1
    client.producer.resumeProducing()
    endpoint.clock.advance(0)
    assert len(replies(client.taken(), bodiless=True)) == 1
    client.producer.resumeProducing()
    endpoint.clock.advance(DELIVERY_TIMEOUT)
    assert not client.transport.aborted


def test_taking_something_renews_the_patience() -> None:
    endpoint = crowded()
    client = endpoint.client()
    client.send(GET % b"/connections")
    for _ in range(3):
        client.producer.pauseProducing()
        endpoint.clock.advance(DELIVERY_TIMEOUT - 1)
        client.producer.resumeProducing()
    assert not client.transport.aborted


def test_a_client_that_leaves_ends_its_answer(failures: list[LogEvent]) -> None:
    for paused in (False, True):
        endpoint = crowded()
        client = endpoint.client()
        client.send(GET % b"/connections")
        producer = client.producer
        if paused:
            producer.pauseProducing()
        producer.stopProducing()
        client.leave()
        endpoint.clock.advance(0)
        assert pull(client) == 0
        assert endpoint.clock.getDelayedCalls() == []
    assert failures == []


def test_an_idle_client_is_closed_after_a_while() -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    client.send(GET % b"/health")
    endpoint.clock.advance(0)
    endpoint.clock.advance(REQUEST_TIME - 1)
    assert not client.transport.disconnecting
    endpoint.clock.advance(1)
    assert client.transport.disconnecting


@pytest.mark.parametrize("dripped", [b"GET /health HTTP/1.1\r\nX: ", POST])
def test_a_client_that_drips_a_request_has_no_more_time_than_others(dripped: bytes) -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    client.send(dripped)
    for _ in range(int(REQUEST_TIME) - 1):
        endpoint.clock.advance(1)
        client.send(b"a")
    assert not client.transport.disconnecting
    endpoint.clock.advance(1)
    assert client.transport.disconnecting


def test_each_request_has_a_time_of_its_own() -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    for _ in range(3):
        endpoint.clock.advance(REQUEST_TIME - 1)
        client.send(GET % b"/health")
        endpoint.clock.advance(0)
    assert len(replies(client.taken())) == 3
    assert not client.transport.disconnecting


@pytest.mark.parametrize("request_", [b"GET /health HTTP/1.0\r\n\r\n", b"garbage\r\n"])
def test_a_client_that_never_takes_the_end_of_its_last_answer_is_cut_off(request_: bytes) -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    client.send(request_)
    endpoint.clock.advance(0)
    assert client.transport.disconnecting
    endpoint.clock.advance(DELIVERY_TIMEOUT - 1)
    assert not client.transport.aborted
    endpoint.clock.advance(1)
    assert client.transport.aborted
    client.leave()
    assert endpoint.clock.getDelayedCalls() == []


def full_house(endpoint: Endpoint) -> list[Client]:
    """Return as many clients as there may be, who have not asked for anything yet."""
    return [endpoint.client() for _ in range(MAX_CHANNELS)]


def gone(clients: list[Client]) -> list[int]:
    return [number for number, client in enumerate(clients) if client.transport.aborted]


def test_one_client_more_takes_the_place_of_the_one_that_has_waited_most() -> None:
    endpoint = crowded()
    clients = full_house(endpoint)
    clients[0].send(GET % b"/connections")
    assert gone(clients) == []
    late = [endpoint.client() for _ in range(2)]
    assert gone(clients) == [1, 2]
    assert gone(late) == []
    for number in (1, 2):
        clients[number].leave()
    assert len(endpoint.site.channels) == MAX_CHANNELS
    late[0].send(GET % b"/health")
    endpoint.clock.advance(0)
    endpoint.clock.advance(0)
    assert [reply.status for reply in replies(late[0].taken())] == [200]


def test_where_all_have_an_answer_under_way_the_oldest_goes() -> None:
    endpoint = crowded()
    clients = full_house(endpoint)
    for client in clients:
        client.send(GET % b"/connections")
    endpoint.client()
    assert gone(clients) == [0]


def test_where_no_answer_has_an_end_the_new_client_goes() -> None:
    endpoint = Endpoint(pages=Endless())
    clients = full_house(endpoint)
    for client in clients:
        client.send(GET % b"/")
    for _ in clients:
        endpoint.clock.advance(0)
    late = endpoint.client()
    assert gone([*clients, late]) == [MAX_CHANNELS]


def test_a_client_that_closes_its_side_still_gets_its_answers() -> None:
    endpoint = Endpoint()
    client = endpoint.client()
    half_close = IHalfCloseableProtocol(client.channel)
    client.send(GET % b"/health" * 2)
    half_close.readConnectionLost()
    assert not client.transport.disconnecting
    endpoint.clock.advance(0)
    half_close.readConnectionLost()
    assert len(replies(client.taken())) == 2
    assert client.transport.disconnecting
    half_close.writeConnectionLost()


def test_a_client_that_closes_its_side_in_the_middle_of_a_request_is_closed() -> None:
    client = Endpoint().client()
    client.send(b"GET / HTTP")
    client.channel.readConnectionLost()
    assert client.transport.disconnecting


def test_an_error_inside_is_answered_and_logged_once(failures: list[LogEvent]) -> None:
    for pages in (Broken(), Broken(0)):
        reply = Endpoint(pages=pages).ask("/")
        assert (reply.status, list(reply.json)) == (500, ["error"])
        assert b"log may" not in reply.body
        assert len(failures) == 1
        failures.clear()


def test_an_error_within_an_answer_breaks_it_off_and_is_logged_once(
    failures: list[LogEvent],
) -> None:
    endpoint = Endpoint(pages=Broken(2))
    client = endpoint.client()
    client.send(GET % b"/")
    endpoint.clock.advance(0)
    assert client.transport.aborted
    assert not client.taken().endswith(b"0\r\n\r\n")
    client.leave()
    assert len(failures) == 1
    assert endpoint.clock.getDelayedCalls() == []


def test_there_is_no_line_in_the_log_per_request() -> None:
    log = Log()
    globalLogPublisher.addObserver(log)
    try:
        endpoint = Endpoint()
        endpoint.site.doStart()  # type: ignore[no-untyped-call]
        endpoint.ask("/health")
        endpoint.ask("/nope", "HEAD")
        endpoint.site.doStop()  # type: ignore[no-untyped-call]
    finally:
        globalLogPublisher.removeObserver(log)
    assert log.events == []


def test_over_tls_it_agrees_on_http_1_1() -> None:
    site = Endpoint().site
    assert verifyObject(IProtocolNegotiationFactory, site)
    assert site.acceptableProtocols()[0] == b"http/1.1"


def test_the_request_is_an_exchange() -> None:
    client = Endpoint().client()
    exchange = Exchange(StatsRequest(client.channel), client.channel)
    assert verifyObject(IExchange, exchange)


def closing(endpoint: Endpoint) -> list[Any]:
    done: list[Any] = []
    Deferred.fromCoroutine(endpoint.site.close()).addCallback(done.append)
    return done


def test_closing_without_connections_is_done_at_once() -> None:
    assert closing(Endpoint()) == [None]


def test_closing_lets_an_answer_finish_and_takes_no_more_requests() -> None:
    endpoint = crowded()
    idle, busy = endpoint.client(), endpoint.client()
    busy.send(GET % b"/connections?limit=100000" + GET % b"/health")
    done = closing(endpoint)
    assert idle.transport.disconnecting
    assert not busy.transport.disconnecting
    idle.leave()
    endpoint.clock.advance(0)
    assert busy.transport.disconnecting
    (reply,) = replies(busy.taken())
    assert len(reply.json["connections"]) == 20 * RECORDS_PER_SLICE
    assert done == []
    busy.leave()
    assert done == [None]
    assert endpoint.clock.getDelayedCalls() == []


def test_closing_does_not_wait_for_a_client_that_does_not_read() -> None:
    endpoint = crowded()
    client = endpoint.client()
    client.send(GET % b"/connections")
    client.producer.pauseProducing()
    done = closing(endpoint)
    endpoint.clock.advance(SHUTDOWN_TIMEOUT)
    assert client.transport.aborted
    client.leave()
    assert done == [None]
    assert endpoint.clock.getDelayedCalls() == []
