"""`/events` with a fake clock: content, subscribers, bursts and limits."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sockd.model.reasons import EndReason
from sockd.model.records import Connection, State
from sockd.render.json_views import connection_view
from sockd.stats.events.batcher import BURST_SAMPLE, MAX_CHUNK_EVENTS, EventBatcher
from sockd.stats.events.buffer import SIZE, EventBuffer
from sockd.stats.events.sampler import MOST_BUSY, NEWEST, POLLED_IN_TURN, Traffic
from sockd.stats.events.stream import MAX_SUBSCRIBERS, TICK
from sockd.stats.events.subscriber import END_TIMEOUT, HEARTBEAT_INTERVAL, STALL_TIMEOUT
from sockd.stats.http.site import REQUEST_TIME
from sockd.testing import FakeDaemon, FakeService
from tests.sse import Sent, events
from tests.stats_client import Client, Endpoint, replies

HELLO = ("hello", "totals")


class Watcher:
    """A client that reads the events."""

    def __init__(
        self, endpoint: Endpoint, last_id: str | None = None, path: str = "/events"
    ) -> None:
        self.endpoint = endpoint
        self.client: Client = endpoint.client()
        header = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
        self.client.send(request.encode("latin-1"))
        endpoint.clock.advance(0)
        self.head, _, self.text = self.taken().partition("\r\n\r\n")
        self.text = unchunked(self.text)

    def taken(self) -> str:
        """Return what came since the last time, framed as it is."""
        return self.client.taken().decode("ascii")

    def read(self, seconds: float = TICK) -> list[Sent]:
        """Let time pass, and return the events that have come."""
        for _ in range(max(1, round(seconds / TICK))):
            self.endpoint.clock.advance(TICK)
            self.endpoint.clock.advance(0)
        text, self.text = self.text + unchunked(self.taken()), ""
        return events(text)

    def told(self, seconds: float = TICK) -> list[Sent]:
        """Return the events that are the ledger's."""
        return [one for one in self.read(seconds) if one.type not in HELLO]


def unchunked(text: str) -> str:
    """Return the body of chunks that may not be at their end."""
    body = ""
    while text:
        size, _, text = text.partition("\r\n")
        body, text = body + text[: int(size, 16)], text[int(size, 16) + 2 :]
    return body


def words(told: list[Sent]) -> list[str]:
    return [one.type for one in told]


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def echo(endpoint: Endpoint) -> FakeService:
    return endpoint.daemon.add("echo")


def test_the_life_of_sockets_is_told_in_the_words_of_the_interface(endpoint: Endpoint) -> None:
    watcher = Watcher(endpoint)
    echo = endpoint.daemon.add("echo")
    connection = echo.open("192.0.2.1", 50412)
    echo.refuse("192.0.2.2", 50413)
    connection.received(5, endpoint.clock.seconds())
    echo.close(connection, EndReason.RESET)
    bind, listen, accept, refuse, close = watcher.told()
    assert words([bind, listen, accept, refuse, close]) == [
        *("bind", "listen", "accept", "refuse", "close")
    ]
    listener = {"transport": "tcp", "host": "127.0.0.1", "port": 65432, "backlog": 50}
    common = {"time": "2023-11-14T22:13:20.000000Z", "service": "echo"}
    assert bind.data == listen.data == {**common, "listener": listener}
    view = connection_view(connection, None)
    told = ("id", "transport", "local", "peer", "via", "display_filter")
    first = {name: view[name] for name in told}
    assert accept.data == {**common, "connection": first}
    peer = {"host": "192.0.2.2", "port": 50413}
    assert refuse.data == {**common, "listener": listener, "peer": peer, "reason": "full"}
    del view["tcp"]
    assert close.data == {**common, "connection": view, "reason": "reset"}


def test_a_flow_of_datagrams_is_accepted_and_closed_too(endpoint: Endpoint) -> None:
    watcher = Watcher(endpoint)
    service = endpoint.daemon.add("datagrams", "udp", "udp")
    service.close(service.open(), EndReason.IDLE)
    bind, accept, close = watcher.told()
    assert words([bind, accept, close]) == ["bind", "accept", "close"]
    assert accept.data["connection"]["transport"] == "udp"
    assert close.data["reason"] == "idle"


def test_the_stream_is_what_browsers_and_proxies_expect(endpoint: Endpoint) -> None:
    watcher = Watcher(endpoint)
    assert watcher.text.startswith("retry: 2000\n\nid: ")
    for line in (
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "Transfer-Encoding: chunked",
    ):
        assert line.lower() in watcher.head.lower()


def test_over_http_1_0_it_comes_without_chunks(endpoint: Endpoint, echo: FakeService) -> None:
    client = endpoint.client()
    client.send(b"GET /events HTTP/1.0\r\n\r\n")
    endpoint.clock.advance(0)
    (reply,) = replies(client.taken())
    assert words(events(reply.body.decode())) == ["hello"]
    assert not client.transport.disconnecting


def test_head_has_the_headers_only_and_takes_no_seat(endpoint: Endpoint) -> None:
    reply = endpoint.ask("/events", "HEAD")
    assert reply.headers["content-type"] == "text/event-stream"
    client = endpoint.client()
    client.send(b"HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
    endpoint.clock.advance(0)
    assert len(replies(client.taken(), bodiless=True)) == 2


def test_a_client_that_reconnects_resumes_after_its_last_event(
    endpoint: Endpoint, echo: FakeService
) -> None:
    first = Watcher(endpoint)
    echo.open()
    (accept,) = first.told()
    first.client.leave()
    echo.open()
    echo.refuse()
    for again in (
        Watcher(endpoint, accept.id),
        Watcher(endpoint, path=f"/events?last_event_id={accept.id}"),
        Watcher(endpoint, accept.id, path="/events?last_event_id=0"),
    ):
        hello, *rest = again.read()
        assert (hello.data["resumed"], hello.id) == (True, accept.id)
        told = [one for one in rest if one.type != "totals"]
        assert [(one.type, one.number - accept.number) for one in told] == [
            ("accept", 1),
            ("refuse", 2),
        ]


def test_zero_begins_with_the_oldest_event(endpoint: Endpoint, echo: FakeService) -> None:
    echo.open()
    assert words(Watcher(endpoint, "0").told()) == ["bind", "listen", "accept"]


@pytest.mark.parametrize("stale", ["abc-1", "18bcfe56800-999", "x", "18bcfe56800-", "-1", "1\x7f"])
def test_an_id_that_is_not_known_is_told_so(
    endpoint: Endpoint, echo: FakeService, stale: str
) -> None:
    echo.open()
    hello, lost, totals = Watcher(endpoint, stale).read()
    assert (hello.type, hello.data["resumed"]) == ("hello", False)
    assert (lost.type, lost.data) == ("lost", {"missed": None})
    assert hello.id == lost.id == totals.id == endpoint.get("/stats")["event_id"]


def test_after_a_restart_the_ids_are_others() -> None:
    ids = []
    for seconds in (0, 1):
        daemon = FakeDaemon()
        daemon.started += seconds
        ids.append(Endpoint(daemon).get("/stats")["event_id"])
    assert ids[0] != ids[1]


def test_the_stats_tell_which_events_they_count(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    echo.open()
    stats = endpoint.get("/stats")
    echo.open()
    before, after = watcher.told()
    assert before.id == stats["event_id"]
    assert after.number == before.number + 1


def test_a_client_resumes_after_the_event_id_of_the_stats(
    endpoint: Endpoint, echo: FakeService
) -> None:
    Watcher(endpoint).read()
    echo.open()
    newest = endpoint.get("/stats")["event_id"]
    late = Watcher(endpoint, path=f"/events?last_event_id={newest}")
    echo.refuse()
    hello, refuse, *_ = late.read()
    assert (hello.type, hello.data["resumed"], hello.id) == ("hello", True, newest)
    assert (refuse.type, refuse.number) == ("refuse", hello.number + 1)


def test_what_is_too_old_is_lost(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    for _ in range(SIZE + 1):
        echo.open()
    (lost,) = watcher.told()
    assert (lost.type, lost.data) == ("lost", {"missed": SIZE + 1})
    echo.open()
    assert words(watcher.told()) == ["accept"]


def test_a_burst_is_summed_up(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    stays = echo.open()
    (_,) = watcher.told()
    for _ in range(1000):
        echo.close(echo.open())
    echo.refuse()
    late = echo.open()
    echo.close(stays)
    burst, *told = watcher.told()
    assert len(told) < 50
    assert told[-1].data["connection"]["id"] == late.id
    assert burst.data["closed"] == [stays.id]
    assert burst.data["brief"] == [stays.id + 1 + BURST_SAMPLE, late.id]
    assert burst.type == "burst"
    assert burst.data["left_out"] == 2003 - len(told)
    counters = {"active": 1, "opened": 1002, "closed": 1001, "refused": 1}
    assert burst.data["services"] == [{"name": "echo", **counters}]
    assert told[-1].id == endpoint.get("/stats")["event_id"]


Step = tuple[str, int]
WHAT = st.sampled_from(["open", "close", "brief", "refuse"])
STEPS = st.lists(st.tuples(WHAT, st.integers(1, 80)), max_size=8)


@settings(deadline=None, max_examples=30)
@given(st.lists(STEPS, max_size=5))
def test_a_subscriber_knows_the_open_connections(ticks: list[list[Step]]) -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    watcher = Watcher(endpoint)
    there: set[int] = set()
    for steps in ticks:
        for step in steps:
            happen(echo, *step)
        told = watcher.told()
        assert len(told) <= MAX_CHUNK_EVENTS + 1
        follow(there, told)
    follow(there, watcher.told(4.0))
    assert there == set(echo.record.connections)


@settings(deadline=None, max_examples=30)
@given(STEPS, STEPS)
@example([("open", 200)], [("close", 80), ("brief", 80), ("close", 80), ("close", 40)])
def test_a_list_requested_after_the_hello_keeps_no_closed_connection(
    before: list[Step], after: list[Step]
) -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    watcher = Watcher(endpoint)
    for step in before:
        happen(echo, *step)
    there = set(echo.record.connections)
    for step in after:
        happen(echo, *step)
    follow(there, watcher.told(4.0))
    assert there == set(echo.record.connections)


@settings(deadline=None, max_examples=30)
@given(STEPS, STEPS, st.data())
def test_a_subscriber_that_resumes_within_a_burst_knows_the_open_connections(
    before: list[Step], after: list[Step], data: st.DataObject
) -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    watcher = Watcher(endpoint)
    happen(echo, "open", 60)
    there: set[int] = set()
    follow(there, watcher.told())
    for step in before:
        happen(echo, *step)
    happen(echo, "open", MAX_CHUNK_EVENTS)
    told = watcher.told(4.0)
    heard = told[: data.draw(st.integers(1, len(told)))]
    follow(there, heard)
    for step in after:
        happen(echo, *step)
    follow(there, Watcher(endpoint, last_id=heard[-1].id).told(4.0))
    assert there == set(echo.record.connections)


def happen(echo: FakeService, what: str, count: int) -> None:
    connections = list(echo.record.connections.values())
    for number in range(count):
        if what == "open":
            echo.open()
        elif what == "brief":
            echo.close(echo.open())
        elif what == "refuse":
            echo.refuse()
        elif number < len(connections):
            echo.close(connections[number])


def follow(there: set[int], told: list[Sent]) -> None:
    for one in told:
        if one.type == "accept":
            there.add(one.data["connection"]["id"])
        elif one.type == "close":
            there.discard(one.data["connection"]["id"])
        elif one.type == "burst":
            there.difference_update(one.data["closed"])
            first, last = one.data["brief"] or (0, -1)
            there.difference_update(range(first, last + 1))


def test_many_who_go_at_once_are_told_at_once(endpoint: Endpoint, echo: FakeService) -> None:
    connections = [echo.open() for _ in range(3000)]
    watcher = Watcher(endpoint)
    for connection in connections:
        echo.close(connection)
    burst, *told = watcher.told()
    assert set(words(told)) == {"close"}
    assert len(told) < 50
    assert len(told) + len(burst.data["closed"]) == 3000
    assert burst.data["brief"] is None


def test_what_all_are_told_is_encoded_once() -> None:
    daemon = FakeDaemon()
    backlog = EventBuffer()
    daemon.ledger.subscribe(backlog.append)
    news = EventBatcher(backlog, daemon.ledger.services, daemon.started)
    daemon.add("echo").open()
    news.advance()
    assert news.after(0).data is news.after(0).data != b""
    assert news.after(3).data == b""


def test_readers_who_come_at_different_times_are_soon_equally_far(
    endpoint: Endpoint, echo: FakeService
) -> None:
    first = Watcher(endpoint)
    echo.open()
    endpoint.clock.advance(TICK / 2)
    second = Watcher(endpoint)
    echo.open()
    assert words(first.told()) == ["accept", "accept"]
    assert words(second.told()) == ["accept", "accept"]


def test_nothing_runs_while_nobody_reads(endpoint: Endpoint, echo: FakeService) -> None:
    echo.open()
    assert endpoint.clock.getDelayedCalls() == []
    watchers = [Watcher(endpoint), Watcher(endpoint)]
    for watcher in watchers:
        watcher.client.leave()
    endpoint.clock.advance(0)
    assert endpoint.clock.getDelayedCalls() == []
    echo.open()
    assert words(Watcher(endpoint).read()) == ["hello", "totals"]


def test_no_timeout_cuts_a_quiet_stream(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    watcher.read(4 * REQUEST_TIME)
    echo.open()
    assert words(watcher.told()) == ["accept"]
    assert not watcher.client.transport.disconnecting


def test_heartbeats_come_after_so_much_silence(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    watcher.read(2.0)
    beats = []
    for tick in range(round(2 * HEARTBEAT_INTERVAL / TICK)):
        endpoint.clock.advance(TICK)
        if unchunked(watcher.taken()) == ": heartbeat\n\n":
            beats.append(tick)
    assert len(beats) == 2
    assert beats[1] - beats[0] == pytest.approx(HEARTBEAT_INTERVAL / TICK, abs=1)


def test_a_reader_whose_buffer_stays_full_is_disconnected(
    endpoint: Endpoint, echo: FakeService
) -> None:
    watcher = Watcher(endpoint)
    watcher.read()
    watcher.client.transport.is_full = True
    for _ in range(round(STALL_TIMEOUT / TICK)):
        echo.open()
        endpoint.clock.advance(TICK)
        assert not watcher.client.transport.aborted
    endpoint.clock.advance(2 * TICK)
    assert watcher.client.transport.aborted
    assert words(events(unchunked(watcher.taken()))) == ["accept"]
    watcher.client.leave()
    endpoint.clock.advance(0)
    assert endpoint.clock.getDelayedCalls() == []


@pytest.mark.parametrize("taken_each_tick", [0, 1], ids=["reads nothing", "reads slowly"])
def test_a_reader_that_does_not_take_a_piece_in_time_is_told_so_and_disconnected(
    endpoint: Endpoint, echo: FakeService, taken_each_tick: int
) -> None:
    watcher = Watcher(endpoint)
    watcher.read()
    transport = watcher.client.transport
    echo.open()
    (accept,) = watcher.told()
    transport.untaken = 10_000
    for _ in range(round(STALL_TIMEOUT / TICK) - 1):
        echo.open()
        assert watcher.read() == []
        transport.untaken -= taken_each_tick
    endpoint.clock.advance(2 * TICK)
    endpoint.clock.advance(0)
    said = watcher.taken()
    (dropped,) = events(unchunked(said))
    assert (dropped.type, dropped.data) == ("dropped", {"reason": "slow"})
    assert dropped.id == accept.id
    assert said.endswith("\r\n0\r\n\r\n")
    assert transport.disconnecting
    assert not transport.aborted
    endpoint.clock.advance(END_TIMEOUT)
    assert transport.aborted


def test_the_next_piece_waits_until_the_last_one_has_arrived(
    endpoint: Endpoint, echo: FakeService
) -> None:
    watcher = Watcher(endpoint)
    watcher.read()
    for _ in range(3):
        echo.open()
        watcher.client.transport.untaken = 100
        assert watcher.read(STALL_TIMEOUT / 2) == []
        watcher.client.transport.untaken = 0
        assert words(watcher.told()) == ["accept"]


def test_a_quiet_reader_is_not_a_slow_one(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    watcher.read(3 * STALL_TIMEOUT)
    echo.open()
    assert words(watcher.told()) == ["accept"]


def test_there_is_room_for_so_many_readers(endpoint: Endpoint, echo: FakeService) -> None:
    watchers = [Watcher(endpoint) for _ in range(MAX_SUBSCRIBERS)]
    late = endpoint.ask("/events")
    assert (late.status, list(late.json), late.headers["retry-after"]) == (503, ["error"], "5")
    watchers[0].client.leave()
    endpoint.clock.advance(0)
    assert words(Watcher(endpoint).read()) == ["hello", "totals"]


def test_the_end_of_the_daemon_ends_the_streams_at_once(
    endpoint: Endpoint, echo: FakeService
) -> None:
    watcher = Watcher(endpoint)
    endpoint.daemon.draining = True
    assert watcher.read(2.0)[-1].data["draining"]
    echo.open()
    endpoint.events.close()
    endpoint.clock.advance(0)
    said = watcher.taken()
    assert words(events(unchunked(said))) == ["accept"]
    assert said.endswith("\r\n0\r\n\r\n")


def test_the_end_comes_after_what_happened_while_a_reader_was_busy(
    endpoint: Endpoint, echo: FakeService
) -> None:
    watcher = Watcher(endpoint)
    watcher.read()
    watcher.client.transport.is_full = True
    echo.open()
    assert words(watcher.told()) == ["accept"]
    echo.refuse()
    endpoint.events.close()
    watcher.client.transport.is_full = False
    watcher.client.producer.resumeProducing()
    assert words(watcher.told()) == ["refuse"]


def test_totals_come_when_something_has_changed(endpoint: Endpoint, echo: FakeService) -> None:
    echo.clients_waiting = 2
    watcher = Watcher(endpoint)
    _, totals = watcher.read(3.0)
    counters = dict.fromkeys(("active", "opened", "closed", "refused", "bytes_in", "bytes_out"), 0)
    view = {"name": "echo", "state": "listening", "ports": [65432], "waiting": 2, **counters}
    assert totals.data["services"] == [view]
    assert totals.data["connections"] == []
    echo.record.state = State.PAUSED
    connection = echo.open()
    watcher.read(2.0)
    connection.received(5, endpoint.clock.seconds())
    connection.sent(3, endpoint.clock.seconds())
    (totals, quiet) = watcher.read(3.0)
    assert totals.data["connections"] == [{"id": connection.id, "bytes_in": 5, "bytes_out": 3}]
    assert quiet.data["connections"] == []
    (shown,) = totals.data["services"]
    assert (shown["state"], shown["active"], shown["bytes_in"]) == ("paused", 1, 5)


def test_totals_tell_that_a_service_has_other_ports(endpoint: Endpoint, echo: FakeService) -> None:
    watcher = Watcher(endpoint)
    watcher.read(2.0)
    echo.record.listeners = ()
    (totals,) = watcher.read(2.0)
    assert totals.data["services"][0]["ports"] == []


def test_traffic_is_looked_for_in_turn_and_a_bounded_number_at_a_time() -> None:
    echo = FakeDaemon().add("echo")
    traffic = Traffic()
    connections: list[Connection] = [echo.open() for _ in range(2 * POLLED_IN_TURN + 1)]
    now = connections[0].opened
    for connection in connections:
        connection.received(1, now)
    rounds = [traffic.round([connections], now + 1 + number) for number in range(6)]
    assert list(map(len, rounds)) == [POLLED_IN_TURN + NEWEST, POLLED_IN_TURN, 1, 0, 0, 0]
    assert {view["id"] for views in rounds for view in views} == {one.id for one in connections}
    slow = connections[POLLED_IN_TURN + MOST_BUSY + 1]
    slow.received(1, now + 25)
    rounds = [traffic.round([connections], now + 26 + number) for number in range(3)]
    assert rounds == [[], [{"id": slow.id, "bytes_in": 2, "bytes_out": 0}], []]


@pytest.mark.parametrize("location", [POLLED_IN_TURN + 1, -1])
def test_traffic_of_the_newest_and_of_those_who_had_some_is_told_at_once(location: int) -> None:
    echo = FakeDaemon().add("echo")
    traffic = Traffic()
    connections: list[Connection] = [echo.open() for _ in range(3 * POLLED_IN_TURN)]
    busy, now = connections[location], connections[0].opened
    busy.received(1, now)
    told = [traffic.round([connections], now + 1 + number) for number in range(3)]
    assert {view["id"] for views in told for view in views} == {busy.id}
    for second in range(4, 9):
        busy.received(1, now + second)
        (view,) = traffic.round([connections], now + second + 0.5)
        assert view == {"id": busy.id, "bytes_in": busy.bytes_in, "bytes_out": 0}


def test_so_many_who_have_traffic_are_remembered_and_none_who_is_gone() -> None:
    echo = FakeDaemon().add("echo")
    traffic = Traffic()
    connections: list[Connection] = [echo.open() for _ in range(2 * POLLED_IN_TURN)]
    now = connections[0].opened
    for number in range(3):
        for connection in connections:
            connection.received(1, now + number)
        traffic.round([connections], now + number)
    for connection in connections:
        connection.received(1, now + 4)
    connections[0].closed = now + 4
    told = traffic.round([connections[1:]], now + 5)
    assert len(told) <= POLLED_IN_TURN + MOST_BUSY + NEWEST
    assert connections[0].id not in [view["id"] for view in told]


def test_an_unknown_parameter_is_an_error(endpoint: Endpoint) -> None:
    assert endpoint.ask("/events?since=3").status == 400
