"""The live table of the busiest connections: redrawn each second until a key is pressed.

With many connections, each turn of the reactor processes only a few hundred of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from twisted.internet.interfaces import IDelayedCall

from sockd.admin.prompt.screen import ENTER, LEAVE, Screen
from sockd.interfaces import IDaemon
from sockd.model.records import Connection
from sockd.render.fields import cells, headings, table_fields
from sockd.render.json_views import totals_view
from sockd.render.tables import seconds, table
from sockd.support.text import printable

REDRAW_INTERVAL = 1.0
"""The interval between two updates, in seconds."""

CONNECTIONS_PER_TURN = 256
"""The number of connections that are processed in a turn of the reactor."""

TOP_ROWS = 200
"""The maximum number of connections that are shown."""

_FIELDS = table_fields("id", "service", "local", "peer", "opened", "bytes_in", "bytes_out")
_COLUMNS = (*headings(_FIELDS), "bytes/s")

TrafficRow = tuple[Connection, float | None]
"""A connection and its traffic in bytes per second; ``None`` before the second measurement."""

Ranking = Callable[[TrafficRow], tuple[float, ...]]


def _by_traffic(row: TrafficRow) -> tuple[float, ...]:
    return row[1] or 0.0, *_by_bytes(row)


def _by_bytes(row: TrafficRow) -> tuple[float, ...]:
    return row[0].bytes_in + row[0].bytes_out, row[0].id


def _by_age(row: TrafficRow) -> tuple[float, ...]:
    return -row[0].opened, -row[0].id


SORTS: Mapping[str, Ranking] = {"traffic": _by_traffic, "bytes": _by_bytes, "age": _by_age}


class Meter:
    """Measures the traffic of all connections, and ranks them.

    :ivar rows: the highest-ranked connections of the last measurement.
    """

    def __init__(self, rank: Ranking) -> None:
        self._rank = rank
        self._before: dict[int, int] = {}
        self._measured: float | None = None
        self.rows: list[TrafficRow] = []

    def walk(self, connections: Iterable[Connection], now: float) -> Iterator[None]:
        """Measure in steps of :data:`CONNECTIONS_PER_TURN`; the last step updates :attr:`rows`."""
        seen: dict[int, int] = {}
        best: list[TrafficRow] = []
        rest = iter(connections)
        while part := list(islice(rest, CONNECTIONS_PER_TURN)):
            rows = [self._row(one, now) for one in part if one.closed is None]
            seen.update((one.id, one.bytes_in + one.bytes_out) for one, _ in rows)
            best = heapq.nlargest(TOP_ROWS, [*best, *rows], key=self._rank)
            yield
        self.rows, self._before, self._measured = best, seen, now

    def _row(self, one: Connection, now: float) -> TrafficRow:
        if self._measured is None or now <= self._measured:
            return one, None
        gained = one.bytes_in + one.bytes_out - self._before.get(one.id, 0)
        return one, gained / (now - self._measured)


class Top:
    """The view of ``top()``. Without a terminal it prints one table and ends.

    :param sort: one of :data:`SORTS`.
    """

    def __init__(self, daemon: IDaemon, screen: Screen, sort: str) -> None:
        self._daemon = daemon
        self._screen = screen
        self._sort = sort
        self._meter = Meter(SORTS[sort])
        self._timer: IDelayedCall | None = None
        self._bytes: tuple[float, int, int] | None = None
        self._rates = ""

    def begin(self) -> None:
        """Start the measurements."""
        if self._screen.size is not None:
            self._screen.write(ENTER)
        self._measure()

    def resized(self) -> None:
        """Redraw in the new window size."""
        self._draw()

    def end(self) -> None:
        """Restore the screen."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._screen.size is not None:
            self._screen.write(LEAVE)

    def _measure(self) -> None:
        now = self._screen.clock.seconds()
        self._add_up(now)
        self._step(self._meter.walk(self._daemon.ledger.open_connections(), now))

    def _step(self, walk: Iterator[None]) -> None:
        """Process some connections, and the others in the following turns."""
        for _ in walk:
            self._timer = self._screen.clock.callLater(0, self._step, walk)
            return
        self._timer = None
        if self._screen.size is None:
            self._screen.write("\n".join(self._lines(TOP_ROWS)) + "\n")
            self._screen.end()
            return
        self._draw()
        self._timer = self._screen.clock.callLater(REDRAW_INTERVAL, self._measure)

    def _draw(self) -> None:
        """Redraw, unless the last output has not been sent yet."""
        if self._screen.size is None or self._screen.is_congested():
            return
        width, height = self._screen.size
        lines = [line[:width] for line in self._lines(height)[:height]]
        self._screen.write("\x1b[H" + "\x1b[K\n".join(lines) + "\x1b[K\x1b[J")

    def _lines(self, height: int) -> list[str]:
        now = self._screen.clock.seconds()
        rows = [_cells(row, now) for row in self._meter.rows[:height]]
        return [*self._heading(now), "", *table(_COLUMNS, rows).split("\n")]

    def _heading(self, now: float) -> Iterator[str]:
        daemon = self._daemon
        totals = totals_view(daemon.ledger.services.values())
        count = len(daemon.services)
        services = "1 service" if count == 1 else f"{count} services"
        yield (
            f"{printable(daemon.name)}  up {seconds(now - daemon.started)}  {services}"
            f"  {totals['active']} open  {totals['opened']} opened  {totals['refused']} refused"
        )
        end = "" if self._screen.size is None else "; any key ends this"
        yield (
            f"{totals['bytes_in']} bytes in, {totals['bytes_out']} out{self._rates}"
            f"  sorted by {self._sort}{end}"
        )

    def _add_up(self, now: float) -> None:
        """Compute the rates from the totals and those of the last measurement."""
        records = list(self._daemon.ledger.services.values())
        total_in, total_out = sum(r.bytes_in for r in records), sum(r.bytes_out for r in records)
        if self._bytes is not None and now > self._bytes[0]:
            before, in_before, out_before = self._bytes
            elapsed = now - before
            rates = (total_in - in_before) / elapsed, (total_out - out_before) / elapsed
            self._rates = f"  {rates[0]:.0f} bytes/s in, {rates[1]:.0f} out"
        self._bytes = now, total_in, total_out


def _cells(row: TrafficRow, now: float) -> list[object]:
    one, rate = row
    return [*cells(_FIELDS, one, now), None if rate is None else round(rate)]
