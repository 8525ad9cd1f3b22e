"""The ledger: counters, a bounded history, and events in order."""

from __future__ import annotations

import pytest

from sockd.model.address import Address
from sockd.model.events import Event, EventType
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, ServiceRecord, State

LOCAL = Address("127.0.0.1", 65432)
PEER = Address("127.0.0.1", 50001)
TCP = Listener("tcp", LOCAL, 50)
UDP = Listener("udp", LOCAL, None)


class Lab:
    """A ledger with two services and a clock that the test advances."""

    def __init__(self, history: int = 1000) -> None:
        self.now = 100.0
        self.ledger = Ledger(lambda: self.now, history)
        self.one = self.ledger.add_service("one", "tcp", "echo")
        self.two = self.ledger.add_service("two", "udp", "upper")
        self.events: list[Event] = []
        self.ledger.subscribe(self.events.append)

    def open(self, service: ServiceRecord | None = None) -> Connection:
        """Open a connection."""
        return self.ledger.open(service or self.one, TCP, LOCAL, PEER)

    def close(self, *connections: Connection) -> None:
        """Close connections."""
        for connection in connections:
            self.ledger.close(connection, EndReason.EOF)


def test_a_service_is_stopped_until_it_is_bound() -> None:
    lab = Lab()
    assert lab.ledger.services == {"one": lab.one, "two": lab.two}
    assert (lab.one.name, lab.one.kind, lab.one.reply) == ("one", "tcp", "echo")
    assert (lab.one.state, lab.one.listeners) == (State.STOPPED, ())
    lab.ledger.bound(lab.one, (TCP, UDP))
    assert (lab.one.state, lab.one.listeners) == (State.LISTENING, (TCP, UDP))
    lab.ledger.unbound(lab.one)
    assert (lab.one.state, lab.one.listeners) == (State.STOPPED, ())
    lab.ledger.unbound(lab.one, State.FAILED)
    assert lab.one.state is State.FAILED


def test_streams_bind_and_listen_and_datagrams_only_bind() -> None:
    lab = Lab()
    lab.ledger.bound(lab.one, (TCP, UDP))
    assert lab.events == [
        Event(EventType.BIND, 100.0, lab.one, TCP),
        Event(EventType.LISTEN, 100.0, lab.one, TCP),
        Event(EventType.BIND, 100.0, lab.one, UDP),
    ]


def test_a_life_is_told_in_order() -> None:
    lab = Lab()
    connection = lab.open()
    lab.now = 101.0
    lab.ledger.refuse(lab.one, TCP, PEER, RefusalReason.FULL)
    lab.now = 102.0
    lab.ledger.close(connection, EndReason.RESET)
    assert lab.events == [
        Event(EventType.ACCEPT, 100.0, lab.one, TCP, connection),
        Event(EventType.REFUSE, 101.0, lab.one, TCP, None, PEER, RefusalReason.FULL),
        Event(EventType.CLOSE, 102.0, lab.one, TCP, connection, None, EndReason.RESET),
    ]


def test_an_observer_sees_the_ledger_as_the_event_says() -> None:
    lab = Lab()
    seen: list[tuple[EventType, int, int, int]] = []

    def look(event: Event) -> None:
        service = event.service
        seen.append((event.type, service.active, service.opened, service.closed))

    lab.ledger.subscribe(look)
    lab.close(lab.open())
    assert seen == [(EventType.ACCEPT, 1, 1, 0), (EventType.CLOSE, 0, 1, 1)]


def test_an_observer_that_left_hears_no_more_and_others_do() -> None:
    lab = Lab()
    heard: list[EventType] = []
    unsubscribe = lab.ledger.subscribe(lambda event: heard.append(event.type))
    connection = lab.open()
    unsubscribe()
    unsubscribe()
    lab.close(connection)
    assert heard == [EventType.ACCEPT]
    assert [event.type for event in lab.events] == [EventType.ACCEPT, EventType.CLOSE]


def test_an_observer_may_leave_while_it_is_told() -> None:
    lab = Lab()
    heard: list[str] = []

    def once(event: Event) -> None:
        heard.append("once")
        unsubscribe()

    unsubscribe = lab.ledger.subscribe(once)
    lab.ledger.subscribe(lambda event: heard.append("always"))
    lab.close(lab.open())
    assert heard == ["once", "always", "always"]


def test_every_byte_read_and_write_is_counted_twice_over() -> None:
    lab = Lab()
    first, second = lab.open(), lab.open()
    first.received(10, 101.0)
    first.received(0, 102.0)
    first.sent(7, 103.0)
    second.received(5, 104.0)
    assert (first.reads, first.bytes_in, first.writes, first.bytes_out) == (2, 10, 1, 7)
    assert (second.reads, second.bytes_in, second.writes, second.bytes_out) == (1, 5, 0, 0)
    assert (lab.one.reads, lab.one.bytes_in, lab.one.writes, lab.one.bytes_out) == (3, 15, 1, 7)
    assert (lab.two.reads, lab.two.bytes_in) == (0, 0)
    assert (first.last_activity, second.last_activity) == (103.0, 104.0)


def test_opened_is_active_plus_closed() -> None:
    lab = Lab()
    connections = [lab.open() for _ in range(5)]
    lab.close(*connections[:2])
    lab.ledger.refuse(lab.one, TCP, PEER, RefusalReason.FULL)
    assert (lab.one.opened, lab.one.active, lab.one.closed, lab.one.refused) == (5, 3, 2, 1)
    assert lab.one.refusals == {RefusalReason.FULL: 1}
    assert lab.one.errors == 0
    lab.ledger.close(connections[2], EndReason.ERROR)
    assert (lab.one.active, lab.one.closed, lab.one.errors) == (2, 3, 1)
    assert lab.one.ends == {EndReason.EOF: 2, EndReason.ERROR: 1}


def test_a_connection_keeps_when_and_why_it_ended() -> None:
    lab = Lab()
    connection = lab.open()
    assert (connection.opened, connection.last_activity) == (100.0, 100.0)
    assert (connection.closed, connection.reason) == (None, None)
    assert (connection.local, connection.peer, connection.listener) == (LOCAL, PEER, TCP)
    lab.now = 105.0
    lab.ledger.close(connection, EndReason.IDLE)
    assert (connection.closed, connection.reason) == (105.0, EndReason.IDLE)
    assert connection.last_activity == 100.0


def test_numbers_count_up_over_all_services_and_are_never_used_again() -> None:
    lab = Lab(history=0)
    numbers = []
    for service in (lab.one, lab.two, lab.one):
        connection = lab.open(service)
        numbers.append(connection.id)
        lab.close(connection)
    assert numbers == [1, 2, 3]
    assert lab.open().id == 4


def test_the_oldest_to_end_is_forgotten_first() -> None:
    lab = Lab(history=2)
    first, second, third, fourth = (lab.open() for _ in range(4))
    lab.close(third, first, second)
    assert lab.ledger.find(third.id) is None
    assert [lab.ledger.find(one.id) for one in (first, second, fourth)] == [first, second, fourth]
    assert list(lab.ledger.open_connections()) == [fourth]
    assert list(lab.ledger.all_connections()) == [first, second, fourth]
    assert lab.one.closed == 3


def test_history_may_be_nothing() -> None:
    lab = Lab(history=0)
    connection = lab.open()
    assert lab.ledger.find(connection.id) is connection
    lab.close(connection)
    assert lab.ledger.find(connection.id) is None
    assert list(lab.ledger.all_connections()) == []


def test_a_number_that_never_was_is_not_found() -> None:
    assert Lab().ledger.find(1) is None


def test_open_connections_of_all_services_come_oldest_first() -> None:
    lab = Lab()
    connections = [lab.open(service) for service in (lab.two, lab.one, lab.two, lab.one)]
    assert list(lab.ledger.open_connections()) == connections
    assert list(lab.ledger.open_connections(after=2)) == connections[2:]
    assert list(lab.ledger.all_connections(after=4)) == []


@pytest.mark.parametrize("view", ["open_connections", "all_connections"])
def test_a_walk_survives_what_happens_meanwhile(view: str) -> None:
    lab = Lab(history=2)
    past = [lab.open() for _ in range(2)]
    lab.close(*past)
    present = [lab.open() for _ in range(3)]
    walk = getattr(lab.ledger, view)()
    first = next(walk)
    lab.close(*present)
    lab.open()
    rest = list(walk)
    expected = {
        "open_connections": (present[0], present[1:]),
        "all_connections": (past[0], present[1:]),
    }
    assert (first, rest) == expected[view]


def test_who_is_enrolled_again_goes_on_with_the_same_account() -> None:
    lab = Lab()
    lab.close(lab.open())
    assert lab.ledger.add_service("one", "multi", "echo") is lab.one
    assert lab.one.opened == 1


def test_a_forgotten_service_leaves_its_closed_connections() -> None:
    lab = Lab()
    gone = lab.open()
    lab.close(gone)
    lab.ledger.forget(lab.one)
    assert lab.ledger.names == {"one", "two"}
    assert lab.ledger.services == {"two": lab.two}
    assert lab.ledger.find(gone.id) is gone


def test_a_shorter_history_holds_at_once() -> None:
    lab = Lab()
    first, second = lab.open(), lab.open()
    lab.close(first, second)
    lab.ledger.set_history_limit(1)
    assert list(lab.ledger.all_connections()) == [second]


def test_a_listener_that_changed_hands_was_not_bound_again() -> None:
    lab = Lab()
    longer = Listener("tcp", LOCAL, 99)
    lab.ledger.bound(lab.one, (longer, UDP), known=(TCP,))
    assert [event.listener for event in lab.events] == [UDP]
    assert lab.one.listeners == (TCP, UDP)


def fail(event: Event) -> None:
    raise ValueError(event.type)


def test_an_observer_that_fails_keeps_nobody_from_being_told() -> None:
    failures: list[Exception] = []
    told: list[Event] = []
    ledger = Ledger(lambda: 0.0, failed=failures.append)
    ledger.subscribe(fail)
    ledger.subscribe(told.append)
    ledger.bound(ledger.add_service("one", "udp", "echo"), (UDP,))
    assert [event.type for event in told] == [EventType.BIND]
    assert [type(each) for each in failures] == [ValueError]


def test_where_nobody_is_told_of_failures_they_surface() -> None:
    lab = Lab()
    lab.ledger.subscribe(fail)
    with pytest.raises(ValueError, match="bind"):
        lab.ledger.bound(lab.one, (UDP,))


def test_every_change_of_a_state_is_told_and_a_failing_observer_harms_nobody() -> None:
    failures: list[Exception] = []
    ledger = Ledger(lambda: 100.0, failed=failures.append)
    service = ledger.add_service("one", "multi", "echo")
    states: list[State] = []

    def fail(service: ServiceRecord) -> None:
        raise ValueError(service.name)

    ledger.subscribe_states(fail)
    unsubscribe = ledger.subscribe_states(lambda service: states.append(service.state))
    ledger.bound(service, (TCP,))
    ledger.set_state(service, State.PAUSED)
    ledger.unbound(service, State.FAILED)
    unsubscribe()
    ledger.bound(service, (TCP,))
    assert states == [State.LISTENING, State.PAUSED, State.FAILED]
    assert [str(error) for error in failures] == ["one"] * 4
