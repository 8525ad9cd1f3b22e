"""PURE: the rows of a run as a text: aligned for people, and Markdown for pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from bench.results import LIMIT, Report, Row, Spread
from bench.targets import OURS, TARGETS

_HEADINGS = (
    "work",
    "server",
    "median",
    "min-max",
    "unit",
    "CPU µs",
    "p50 µs",
    "p99 µs",
    "of C",
    "sockd / it",
    "target",
)


def text(report: Report, lines: Sequence[Row], titles: Mapping[str, str]) -> str:
    """Return the whole page: where it ran, the table, what was not measured, the targets.

    :param titles: the contenders' names for people.
    """
    parts = [_about(report.about), table([_HEADINGS, *_cells(lines, titles)])]
    parts += ["\n".join(f"- {titles[name]}: {why}" for name, why in report.absent.items())]
    failures = [f"- failed: {one.work}, {one.server}: {one.why}" for one in report.failures]
    parts += ["\n".join(dict.fromkeys(failures))]
    parts += [_targets(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned."""
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| "
        + " | ".join(_padded(cell, width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def number(value: float) -> str:
    """Return a number with about three digits that say something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _width(cell: str) -> int:
    return sum(not unicodedata.combining(character) for character in cell)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _about(about: Mapping[str, object]) -> str:
    lines = []
    for name, value in about.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        lines.append(f"- {name}: {value}")
    return "\n".join(lines)


def _cells(lines: Sequence[Row], titles: Mapping[str, str]) -> list[list[str]]:
    return [
        [
            row.work.title,
            titles[row.server],
            number(row.measured.median),
            f"{number(row.measured.low)}-{number(row.measured.high)}",
            row.figure.unit,
            *(number(row.also[name]) if name in row.also else "" for name in ("cpu", "p50", "p99")),
            _spread(row.of_limit) if row.server != LIMIT else "",
            _spread(row.ours) if row.server != OURS else "",
            _verdict(row),
        ]
        for row in lines
    ]


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})"


def _verdict(row: Row) -> str:
    if row.target is None:
        return ""
    words = {True: "met", False: "**not met**", None: "not measured"}
    return f"{row.target.text}: {words[row.is_met]}"


def _targets(lines: Sequence[Row]) -> str:
    judged = [row.is_met for row in lines if row.target is not None]
    met, missed = judged.count(True), judged.count(False)
    unknown = len(TARGETS) - met - missed
    return f"Of {len(TARGETS)} targets {met} are met, {missed} not met, {unknown} not measured."
