"""The delay after failed passwords, and the rate limit of log lines."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from sockd.admin.auth.attempts import (
    LONGEST_QUEUE,
    LONGEST_WAIT,
    SOURCES,
    Attempts,
    attempt_source,
)
from sockd.admin.throttle import Throttle
from sockd.model.address import Address


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock.seconds)


def test_each_attempt_waits_longer_than_the_one_before(attempts: Attempts, clock: Clock) -> None:
    waits = []
    for _ in range(8):
        wait = attempts.reserve("one")
        assert wait is not None
        waits.append(wait)
        clock.advance(wait)
    assert waits == [0, 0.5, 1, 2, 4, 8, 8, 8]
    assert attempts.reserve("other") == 0


def test_many_at_once_gain_nothing(attempts: Attempts) -> None:
    waits = [attempts.reserve("one") for _ in range(20)]
    judged = [wait for wait in waits if wait is not None]
    assert judged == sorted(set(judged))
    assert max(judged) <= LONGEST_QUEUE
    assert waits[-1] is None


def test_waiting_in_vain_makes_nothing_worse(attempts: Attempts, clock: Clock) -> None:
    for _ in range(100):
        attempts.reserve("one")
    clock.advance(LONGEST_QUEUE + LONGEST_WAIT)
    assert attempts.reserve("one") == 0


def test_an_admin_who_gets_in_is_not_held_up_any_more(attempts: Attempts) -> None:
    for _ in range(5):
        attempts.reserve("one")
    attempts.succeeded("one", forgives=True)
    assert attempts.reserve("one") == 0


def test_a_viewer_cannot_buy_guesses_with_a_login_of_his_own(
    attempts: Attempts, clock: Clock
) -> None:
    for _ in range(10):
        attempts.reserve("one")
        clock.advance(100)
        attempts.reserve("one")
        attempts.succeeded("one", forgives=False)
        clock.advance(100)
    attempts.reserve("one")
    assert attempts.reserve("one") == LONGEST_WAIT


def test_a_source_that_stays_quiet_is_forgotten(attempts: Attempts, clock: Clock) -> None:
    for _ in range(6):
        attempts.reserve("one")
    clock.advance(700)
    attempts.reserve("one")
    assert attempts.reserve("one") == 0.5


def test_the_table_is_bounded_and_keeps_the_latest(attempts: Attempts) -> None:
    attempts.reserve("one")
    for number in range(SOURCES):
        attempts.reserve(str(number))
    assert attempts.reserve("one") == 0
    assert attempts.reserve(str(SOURCES - 1)) == 0.5


def test_a_login_that_nobody_remembers_is_no_error(attempts: Attempts) -> None:
    attempts.succeeded("nobody", forgives=False)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (Address("192.0.2.1", 50000), "192.0.2.1"),
        (Address("2001:db8:1:2:3:4:5:6", 50000), "2001:db8:1:2::/64"),
        (Address("fe80::1%eth0", 50000), "fe80::/64"),
        (Address("", None), "unix"),
        (Address("/run/sock", None), "unix"),
        (Address("somewhere", 1), "somewhere"),
    ],
)
def test_what_counts_as_one_source(address: Address, source: str) -> None:
    assert attempt_source(address) == source


def test_a_throttle_lets_a_burst_through_and_then_a_rate(clock: Clock) -> None:
    throttle = Throttle(clock.seconds, 3, 2.0)
    assert [throttle.allows() for _ in range(5)] == [True, True, True, False, False]
    clock.advance(1)
    assert [throttle.allows() for _ in range(3)] == [True, True, False]
    throttle.miss()
    assert throttle.take_missed() == 4
    assert throttle.take_missed() == 0
    clock.advance(1000)
    assert [throttle.allows() for _ in range(4)] == [True, True, True, False]
