"""PURE: what was measured, turn by turn, and what comes of it: medians, ratios, verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from bench.servers import Contender
from bench.targets import OURS, Target
from bench.works import Figure, Work

LIMIT = "c"
"""The contender that shows what the system calls alone allow."""


@dataclass(frozen=True)
class Sample:
    """One measurement.

    :ivar turn: which one of its round.
    :ivar figures: by name; latencies and CPU times in microseconds.
    """

    round: int
    turn: int
    work: str
    server: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Failure:
    """A measurement that did not come about."""

    round: int
    work: str
    server: str
    why: str


Outcome: TypeAlias = Sample | Failure


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return that of some values, if there are any."""
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """A line of the table.

    :ivar also: medians of CPU time and latencies, where they were measured.
    :ivar of_limit: this server's figure divided by the C server's, of the same turn.
    :ivar ours: sockd's figure divided by this server's, of the same turn.
    :ivar target: what sockd is to reach against this server, or by itself.
    :ivar is_met: whether it does.
    """

    work: Work
    figure: Figure
    server: str
    measured: Spread
    also: Mapping[str, float]
    of_limit: Spread | None
    ours: Spread | None
    target: Target | None
    is_met: bool | None


@dataclass
class Report:
    """A run.

    :ivar about: when, where, with which versions and settings.
    :ivar absent: contenders that are not installed, and what they lack.
    """

    about: Mapping[str, object]
    absent: Mapping[str, str]
    samples: list[Sample] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def values(self, work: str, server: str, figure: str) -> dict[tuple[int, int], float]:
        """Return a figure by rounds and their turns."""
        return {
            (sample.round, sample.turn): sample.figures[figure]
            for sample in self.samples
            if (sample.work, sample.server) == (work, server) and figure in sample.figures
        }

    def ratios(self, work: str, figure: str, one: str, other: str) -> list[float]:
        """Return one server's figures divided by another's of the same turns."""
        ours, theirs = self.values(work, one, figure), self.values(work, other, figure)
        return [value / theirs[turn] for turn, value in ours.items() if theirs.get(turn)]


ALSO = ("cpu", "p50", "p99")
"""The figures that stand beside a rate."""


def rows(
    report: Report,
    works: Sequence[Work],
    contenders: Sequence[Contender],
    targets: Sequence[Target],
) -> list[Row]:
    """Return the lines of the table."""
    wanted = {(target.work, target.figure, target.against or OURS): target for target in targets}
    return [
        row
        for work in works
        for figure in work.figures
        for contender in contenders
        if (row := _row(report, work, figure, contender.name, wanted)) is not None
    ]


def _row(
    report: Report,
    work: Work,
    figure: Figure,
    server: str,
    wanted: Mapping[tuple[str, str, str], Target],
) -> Row | None:
    measured = Spread.of(list(report.values(work.name, server, figure.name).values()))
    if measured is None:
        return None
    of_limit = Spread.of(report.ratios(work.name, figure.name, server, LIMIT))
    ours = Spread.of(report.ratios(work.name, figure.name, OURS, server))
    target = wanted.get((work.name, figure.name, server))
    judged = (ours if target.against else measured) if target else None
    is_met = target.is_met_by(judged.median) if target and judged else None
    also = {
        name: spread.median
        for name in ALSO
        if (spread := Spread.of(list(report.values(work.name, server, name).values())))
    }
    return Row(work, figure, server, measured, also, of_limit, ours, target, is_met)


def document(report: Report, lines: Sequence[Row]) -> dict[str, object]:
    """Return everything as what JSON can say: each single figure, and what the table shows."""
    return {
        **report.about,
        "absent": dict(report.absent),
        "failures": [asdict(failure) for failure in report.failures],
        "table": [_plain(row) for row in lines],
        "samples": [asdict(sample) for sample in report.samples],
    }


def _plain(row: Row) -> dict[str, object]:
    plain = asdict(row)
    return {**plain, "work": row.work.name, "figure": row.figure.name, "unit": row.figure.unit}
