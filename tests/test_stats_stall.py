"""A client that reads nothing of an endless answer is disconnected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.stats.http.answers import DELIVERY_TIMEOUT, Answer
from sockd.stats.http.stall import PERIOD, StallWatch
from sockd.stats.http.target import Target
from tests.stats_client import Endpoint


class Connection:
    """The connection of an answer.

    :ivar waiting: how many bytes the client has not taken.
    """

    waiting = 0
    is_aborted = False

    def untaken(self) -> int:
        """Return :attr:`waiting`."""
        return self.waiting

    def abort(self) -> None:
        """Record that the connection was aborted."""
        self.is_aborted = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def watch(clock: Clock, connection: Connection) -> StallWatch:
    return StallWatch(connection, clock)


def test_a_client_that_takes_nothing_is_disconnected(
    clock: Clock, connection: Connection, watch: StallWatch
) -> None:
    clock.pump([PERIOD] * 100)
    assert not connection.is_aborted
    connection.waiting = 1
    for _ in range(round(DELIVERY_TIMEOUT / PERIOD) - 1):
        clock.advance(PERIOD)
        connection.waiting += 10
        assert not connection.is_aborted
    clock.advance(PERIOD)
    assert connection.is_aborted
    assert clock.getDelayedCalls() == []


def test_a_client_that_takes_some_stays(
    clock: Clock, connection: Connection, watch: StallWatch
) -> None:
    connection.waiting = 10_000
    for _ in range(10):
        clock.pump([PERIOD] * (round(DELIVERY_TIMEOUT / PERIOD) - 1))
        connection.waiting -= 1
        clock.advance(PERIOD)
    assert not connection.is_aborted


def test_the_watch_can_be_ended(clock: Clock, connection: Connection, watch: StallWatch) -> None:
    connection.waiting = 1
    watch.end()
    watch.end()
    clock.advance(2 * DELIVERY_TIMEOUT)
    assert not connection.is_aborted


class EndlessPages:
    """Answers with something small, and never with more.

    :ivar released: how many clients are gone.
    """

    released = 0

    def answer(self, target: Target) -> Answer:
        """Return the answer."""
        return Answer(self._slices(), release=self._release)

    def _slices(self) -> Iterator[bytes | Deferred[None]]:
        yield b"small"
        yield Deferred()

    def _release(self) -> None:
        self.released += 1


def test_every_endless_answer_is_watched(clock: Clock) -> None:
    pages = EndlessPages()
    endpoint = Endpoint(pages=pages)
    client = endpoint.client()
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    endpoint.clock.advance(0)
    client.transport.untaken = 5
    endpoint.clock.pump([PERIOD] * round(DELIVERY_TIMEOUT / PERIOD))
    assert client.transport.aborted
    client.leave()
    assert pages.released == 1
    assert endpoint.clock.getDelayedCalls() == []
