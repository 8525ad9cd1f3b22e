"""The log during a flood of clients: the first lines, then summaries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from sockd.log.event_logger import EventLogger
from sockd.log.rate_limiter import SUMMARY_INTERVAL
from sockd.model.address import Address
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Listener

LISTENER = Listener("tcp", Address("127.0.0.1", 7000), 50)


@contextmanager
def logged() -> Iterator[list[str]]:
    """Gather what is logged."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(observe)


class Lab:
    """A service that refuses clients."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = Ledger(self.clock.seconds)
        self.ledger.subscribe(EventLogger(self.clock).tell)
        self.service = self.ledger.add_service("echo", "multi", "echo")

    def refuse(self, count: int, reason: RefusalReason = RefusalReason.FULL) -> None:
        """Turn so many clients away."""
        for _ in range(count):
            self.ledger.refuse(self.service, LISTENER, Address("192.0.2.1", 50001), reason)

    def serve(self, count: int) -> None:
        """Let so many clients in, and see them go."""
        for _ in range(count):
            peer = Address("192.0.2.1", 50001)
            connection = self.ledger.open(self.service, LISTENER, LISTENER.address, peer)
            self.ledger.close(connection, EndReason.EOF)


def test_a_crowd_has_two_hundred_lines_each_for_coming_and_going_and_a_sum() -> None:
    lab = Lab()
    with logged() as lines:
        lab.serve(1000)
        assert sum(line.startswith("Connected by") for line in lines) == 200
        assert sum(line.startswith("Closed") for line in lines) == 200
        lab.clock.advance(SUMMARY_INTERVAL)
    assert lines[-2:] == [
        "800 more connections were accepted in the last 10 s (echo)",
        "800 more connections were closed in the last 10 s: eof 800 (echo)",
    ]


def test_a_few_refused_clients_have_a_line_each_and_no_sum() -> None:
    lab = Lab()
    with logged() as lines:
        lab.refuse(2, RefusalReason.PER_SOURCE)
        lab.clock.pump([SUMMARY_INTERVAL] * 3)
    assert lines == ["Refused 192.0.2.1:50001 on 127.0.0.1:7000: per_source (echo)"] * 2
    assert lab.clock.getDelayedCalls() == []


def test_a_flood_has_ten_lines_and_a_sum_of_the_others_by_reason() -> None:
    lab = Lab()
    with logged() as lines:
        lab.refuse(100)
        lab.refuse(1000, RefusalReason.DENIED)
        assert len(lines) == 10
        lab.clock.advance(SUMMARY_INTERVAL)
    assert lines[10:] == [
        "1090 more clients were refused in the last 10 s: denied 1000, full 90 (echo)"
    ]


def test_what_is_counted_without_an_event_is_in_the_sum_too() -> None:
    lab = Lab()
    with logged() as lines:
        lab.refuse(1)
        for _ in range(5):
            lab.service.count_refusal(RefusalReason.FULL)
        lab.clock.advance(SUMMARY_INTERVAL)
    assert lines[1:] == ["5 more clients were refused in the last 10 s: full 5 (echo)"]


def test_a_flood_that_goes_on_has_ten_lines_and_a_sum_every_ten_seconds() -> None:
    lab = Lab()
    with logged() as lines:
        for _ in range(60):
            lab.refuse(50)
            lab.clock.advance(1.0)
    single = [line for line in lines if line.startswith("Refused")]
    sums = [int(line.split()[0]) for line in lines if "more clients" in line]
    assert (len(single), len(sums)) == (60, 6)
    assert sum(sums) + len(single) == 60 * 50


def test_after_a_quiet_time_it_begins_anew() -> None:
    lab = Lab()
    lab.refuse(100)
    lab.clock.pump([SUMMARY_INTERVAL] * 3)
    assert lab.clock.getDelayedCalls() == []
    with logged() as lines:
        lab.refuse(3)
        lab.clock.advance(SUMMARY_INTERVAL)
    assert len(lines) == 3


def test_each_service_has_its_own_lines() -> None:
    lab = Lab()
    lab.refuse(100)
    lab.service = lab.ledger.add_service("other", "multi", "echo")
    with logged() as lines:
        lab.refuse(1)
    assert lines == ["Refused 192.0.2.1:50001 on 127.0.0.1:7000: full (other)"]
