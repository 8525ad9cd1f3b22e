"""The live views draw a bounded amount, never for a slow reader, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred

from sockd.admin.commands.live import LiveCommands
from sockd.admin.commands.top import CONNECTIONS_PER_TURN, REDRAW_INTERVAL, SORTS, TOP_ROWS, Meter
from sockd.admin.commands.watch import LINES_PER_SECOND
from sockd.admin.prompt.console import Console
from sockd.admin.prompt.screen import ENTER, LEAVE, Screen
from sockd.model.records import Connection
from sockd.testing import FakeDaemon


class Lab:
    """A daemon with one service, and somebody who looks at it."""

    def __init__(self) -> None:
        self.daemon = FakeDaemon()
        self.clock = self.daemon.clock
        self.echo = self.daemon.add("echo")
        self.is_slow = False
        self.shown: list[str] = []
        self.complaints = ""
        self.screen = Screen(self.clock, self.shown.append, lambda: self.is_slow)
        self.console = Console(self.shown.append, self._complain, self.screen)
        self.live = LiveCommands(self.daemon, self.console)

    def take(self) -> list[str]:
        """Return what was shown since this was asked last."""
        shown, self.shown[:] = list(self.shown), []
        return shown

    def picture(self) -> list[str]:
        """Return the lines of the last picture that was drawn, without what steers the screen."""
        last = self.take()[-1]
        assert last.startswith("\x1b[H")
        return last.removeprefix("\x1b[H").removesuffix("\x1b[K\x1b[J").split("\x1b[K\n")

    def first_cells(self) -> list[str]:
        """Return the numbers of the connections in the order of the last picture."""
        return [line.split()[0] for line in self.picture()[4:]]

    def settle(self) -> None:
        """Let the turns of the reactor go by that a walk takes."""
        for _ in range(200):
            self.clock.advance(0)

    def is_quiet(self) -> bool:
        """Return whether nothing is left: no timer, no observer."""
        calls = self.clock.getDelayedCalls()
        return not calls and not self.daemon.ledger._observers

    def _complain(self, text: str) -> None:
        self.complaints += text


@pytest.fixture
def lab() -> Lab:
    lab = Lab()
    lab.screen.resize(100, 24)
    return lab


def test_top_shows_who_sends_most_now(lab: Lab) -> None:
    first, second, third = (lab.echo.open() for _ in range(3))
    first.received(1_000_000, 0.0)
    lab.live.top()
    lab.settle()
    assert lab.first_cells() == ["1", "3", "2"]
    second.received(700, 0.0)
    third.sent(9000, 0.0)
    lab.clock.advance(REDRAW_INTERVAL)
    lab.settle()
    heading, totals, empty, columns, *rows = lab.picture()
    assert heading == "lab  up 1.0s  1 service  3 open  3 opened  0 refused"
    assert totals.startswith("1000700 bytes in, 9000 out  700 bytes/s in, 9000 out  sorted by")
    assert empty == ""
    assert columns.split()[-1] == "bytes/s"
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert rows[0].split() == [
        *("3", "echo", "127.0.0.1:65432", "127.0.0.1:50003", "1.0s", "0", "9000", "9000"),
    ]


def test_top_sorts_as_it_is_told(lab: Lab) -> None:
    old = lab.echo.open()
    lab.clock.advance(1)
    lab.echo.open().received(5, 0.0)
    old.received(1, 0.0)
    for sort, expected in (("bytes", ["2", "1"]), ("age", ["1", "2"])):
        lab.live.top(sort)
        lab.settle()
        assert lab.first_cells() == expected
    lab.live.top("trafic")
    assert lab.complaints == "cannot sort by 'trafic' (did you mean traffic?)\n"


def test_top_brings_the_screen_back_and_leaves_nothing_behind(lab: Lab) -> None:
    lab.echo.open()
    lab.live.top()
    lab.settle()
    assert lab.take()[0] == ENTER
    assert lab.screen.key()
    assert lab.take() == [LEAVE]
    assert lab.is_quiet()
    assert not lab.screen.key()


def test_top_ends_in_the_middle_of_a_walk(lab: Lab) -> None:
    for _ in range(CONNECTIONS_PER_TURN + 1):
        lab.echo.open()
    lab.live.top()
    lab.screen.key()
    lab.settle()
    assert lab.take() == [ENTER, LEAVE]
    assert lab.is_quiet()


def test_top_looks_at_a_part_of_the_connections_in_each_turn(lab: Lab) -> None:
    seen = 0

    def passing() -> Iterator[Connection]:
        nonlocal seen
        for _ in range(CONNECTIONS_PER_TURN * 4):
            seen += 1
            yield lab.echo.open()

    meter = Meter(SORTS["traffic"])
    assert [seen for _ in meter.walk(passing(), 0.0)] == [
        CONNECTIONS_PER_TURN * n for n in (1, 2, 3, 4)
    ]
    assert len(meter.rows) == TOP_ROWS


def test_top_fits_into_the_window_whatever_its_size(lab: Lab) -> None:
    for _ in range(50):
        lab.echo.open()
    lab.live.top()
    lab.settle()
    assert len(lab.picture()) == 24
    for columns, lines in ((40, 10), (0, 0), (2**32 - 1, 2**32 - 1)):
        lab.screen.resize(columns, lines)
        picture = lab.picture()
        assert len(picture) == max(1, min(lines, 54))
        assert max(map(len, picture)) <= max(1, columns)


def test_top_draws_nothing_for_a_terminal_that_does_not_keep_up(lab: Lab) -> None:
    lab.live.top()
    lab.take()
    lab.is_slow = True
    for _ in range(100):
        lab.clock.advance(REDRAW_INTERVAL)
        lab.settle()
    assert lab.take() == []
    lab.is_slow = False
    lab.clock.advance(REDRAW_INTERVAL)
    lab.settle()
    assert len(lab.take()) == 1


def test_top_without_a_terminal_is_one_table_and_the_end() -> None:
    lab = Lab()
    lab.echo.open()
    lab.live.top()
    ended: list[None] = []
    lab.console.idle().addCallback(ended.append)
    assert ended == []
    lab.settle()
    [text] = lab.take()
    assert "\x1b" not in text
    assert "any key" not in text
    assert text.splitlines()[4].split()[:2] == ["1", "echo"]
    assert ended == [None]
    assert lab.is_quiet()


def test_watch_tells_what_happens(lab: Lab) -> None:
    lab.live.watch()
    assert lab.take() == ["events as they happen; any key ends this\n"]
    lab.echo.close(lab.echo.open())
    ends = "127.0.0.1:50001 on 127.0.0.1:65432"
    assert lab.take() == [
        f"22:13:20.000Z Connected by {ends} (echo #1)\n",
        f"22:13:20.000Z Closed {ends}: eof, 0 bytes in, 0 out (echo #1)\n",
    ]
    lab.screen.resize(10, 10)
    lab.screen.key()
    lab.echo.open()
    assert lab.take() == []
    assert lab.is_quiet()


def test_watch_counts_what_comes_too_fast(lab: Lab) -> None:
    lab.live.watch()
    lab.take()
    for _ in range(LINES_PER_SECOND + 1234):
        lab.echo.refuse()
    assert len(lab.take()) == LINES_PER_SECOND
    lab.clock.advance(1)
    assert lab.take() == ["… and 1,234 more\n"]
    lab.echo.refuse()
    assert len(lab.take()) == 1
    lab.clock.advance(1)
    assert lab.take() == []


def test_watch_keeps_nothing_for_a_slow_reader(lab: Lab) -> None:
    lab.live.watch()
    lab.take()
    lab.is_slow = True
    for _ in range(10):
        lab.echo.refuse()
        lab.clock.advance(1)
    assert lab.take() == []
    lab.is_slow = False
    lab.clock.advance(1)
    assert lab.take() == ["… and 10 more\n"]


def test_watch_says_at_its_end_what_it_has_left_out(lab: Lab) -> None:
    lab.live.watch()
    for _ in range(LINES_PER_SECOND + 1):
        lab.echo.refuse()
    lab.screen.key()
    assert lab.take()[-1] == "… and 1 more\n"


def test_one_view_takes_the_place_of_another(lab: Lab) -> None:
    lab.live.watch()
    lab.live.top()
    assert lab.daemon.ledger._observers == ()
    lab.screen.key()
    assert lab.is_quiet()


def test_a_session_that_is_over_shows_nothing_any_more(lab: Lab) -> None:
    lab.live.watch()
    lab.screen.close()
    assert lab.is_quiet()
    ended: Deferred[None] = lab.screen.ended()
    assert ended.called
    lab.live.top()
    assert lab.is_quiet()


def test_a_console_without_a_screen_says_so() -> None:
    lab = Lab()
    lab.console.screen = None
    lab.live.watch()
    assert lab.complaints == "live views are not available in this session\n"
