"""Long answers are made in slices, and other work runs in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, Cooperator

from sockd.model.records import Connection
from sockd.render.json_views import PortsTable, connection_view
from sockd.stats.http.delivery import one_slice_a_turn
from sockd.stats.http.query import Chosen, ConnectionQuery
from sockd.stats.slices import (
    RECORDS_PER_SLICE,
    Selection,
    connection_slices,
    object_slices,
    port_slices,
)
from sockd.testing import FakeDaemon

MANY = 10_000


class Counted:
    """An iterator over connections that knows how many it has handed out."""

    def __init__(self, connections: Iterator[Connection]) -> None:
        self._connections = connections
        self.count = 0

    def __iter__(self) -> Iterator[Connection]:
        """Hand them out."""
        for connection in self._connections:
            self.count += 1
            yield connection


class HandDriven:
    """A scheduler that does a step when it is told to."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []

    def callLater(self, delay: float, step: Callable[[], None]) -> HandDriven:
        """Keep a step; this is as much of a reactor as a cooperator needs."""
        assert delay == 0
        self.steps.append(step)
        return self

    def cancel(self) -> None:
        """Drop the step."""
        self.steps.clear()

    def turn(self) -> None:
        """Do what one turn of a reactor does."""
        steps, self.steps = self.steps, []
        for step in steps:
            step()


def crowd(count: int = MANY) -> FakeDaemon:
    """Return a daemon with so many connections from one host."""
    daemon = FakeDaemon()
    echo = daemon.add("echo")
    for _ in range(count):
        echo.open()
    return daemon


def view(connection: Connection) -> dict[str, object]:
    return connection_view(connection, None)


def handled_per_slice(counted: Counted, slices: Iterator[bytes]) -> tuple[list[int], bytes]:
    """Return how many records each slice handled, and the whole."""
    steps, before, parts = [], 0, []
    for part in slices:
        parts.append(part)
        steps.append(counted.count - before)
        before = counted.count
    return steps, b"".join(parts)


def test_no_slice_of_the_connections_handles_many_of_them() -> None:
    daemon = crowd()
    counted = Counted(daemon.ledger.open_connections())
    query = ConnectionQuery(limit=MANY)
    steps, body = handled_per_slice(counted, connection_slices(Selection(counted, query), view))
    assert max(steps) <= RECORDS_PER_SLICE
    assert sum(steps) == MANY
    assert [one["id"] for one in json.loads(body)["connections"]] == list(range(1, MANY + 1))


def test_no_slice_skips_over_many_of_them_either() -> None:
    daemon = crowd()
    for query in (
        ConnectionQuery(peer="192.0.2.1"),
        ConnectionQuery(service="other"),
        ConnectionQuery(state=Chosen.CLOSED),
    ):
        counted = Counted(query.source(daemon.ledger))
        steps, body = handled_per_slice(counted, connection_slices(Selection(counted, query), view))
        assert max(steps) <= RECORDS_PER_SLICE
        assert sum(steps) == MANY
        assert len(json.loads(body)["connections"]) <= 1


def test_a_full_page_looks_no_further_than_the_next_one() -> None:
    counted = Counted(crowd().ledger.open_connections())
    body = b"".join(connection_slices(Selection(counted, ConnectionQuery(limit=10)), view))
    assert counted.count == 11
    assert json.loads(body)["next"] == 10


def test_no_slice_of_the_ports_handles_many_records_or_ports() -> None:
    daemon = crowd()
    counted = Counted(daemon.ledger.open_connections())
    table = PortsTable(service.record for service in daemon.services.values())
    gathered, told = [], []
    before = 0
    for part in port_slices(counted, table):
        gathered.append(counted.count - before)
        told.append(part.count(b","))
        before = counted.count
    assert max(gathered) <= RECORDS_PER_SLICE
    assert sum(gathered) == MANY
    assert max(told) <= RECORDS_PER_SLICE + 10  # the commas of the row itself
    assert sum(told) > MANY - 10


def test_connections_that_close_between_slices_are_not_listed() -> None:
    daemon = crowd(3 * RECORDS_PER_SLICE)
    selection = Selection(daemon.ledger.open_connections(), ConnectionQuery())
    slices = connection_slices(selection, view)
    body = next(slices)
    echo = daemon.services["echo"]
    for number in range(2 * RECORDS_PER_SLICE, 3 * RECORDS_PER_SLICE + 1):
        echo.disconnect(number)
    body += b"".join(slices)
    numbers = [one["id"] for one in json.loads(body)["connections"]]
    assert numbers == list(range(1, 2 * RECORDS_PER_SLICE))


def test_ports_of_connections_that_close_between_slices_are_not_told() -> None:
    daemon = crowd(2 * RECORDS_PER_SLICE)
    table = PortsTable(service.record for service in daemon.services.values())
    slices = port_slices(daemon.ledger.open_connections(), table)
    body = next(slices)
    daemon.services["echo"].disconnect(2 * RECORDS_PER_SLICE)
    body += b"".join(slices)
    assert json.loads(body)["ports"][0]["distinct_peer_ports"] == 2 * RECORDS_PER_SLICE - 1


def test_one_turn_of_the_reactor_does_one_step_of_one_task() -> None:
    scheduler = HandDriven()
    cooperator: Cooperator = one_slice_a_turn(cast("IReactorTime", scheduler))
    done: list[str] = []

    def work(name: str) -> Iterator[None]:
        for _ in range(3):
            done.append(name)
            yield

    cooperator.cooperate(work("a"))
    cooperator.cooperate(work("b"))
    for turn in range(1, 7):
        scheduler.turn()
        assert len(done) == turn
    assert done == ["a", "b", "a", "b", "a", "b"]


def test_timers_run_between_the_steps() -> None:
    clock = Clock()
    cooperator = one_slice_a_turn(clock)
    order: list[str] = []

    def work() -> Iterator[None]:
        for number in range(3):
            order.append(f"slice {number}")
            clock.callLater(0, order.append, "other work")
            yield

    cooperator.cooperate(work())
    clock.advance(0)
    assert order[:4] == ["slice 0", "other work", "slice 1", "other work"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_object_in_slices_is_what_it_would_be_as_a_whole(count: int) -> None:
    views = [{"name": f"s{number}\n", "ports": [1, 2], "none": {}} for number in range(count)]
    whole = {"daemon": {"name": "a", "pid": 1}, "services": views, "event_id": "x", "é": None}
    members = [(name, iter(views) if value is views else value) for name, value in whole.items()]
    slices = list(object_slices(members))
    assert b"".join(slices).decode("ascii") == json.dumps(whole, indent=2) + "\n"
    assert all(one.count(b"name") <= 1 for one in slices if b"ports" in one)
