"""Aligned tables, name-value pairs and durations as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sockd.support.text import printable

_GAP = "  "
_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with headings; columns that contain only numbers are right-aligned.

    ``None`` is shown as a hyphen. Control characters in cells are escaped.
    """
    return "\n".join(Columns(headings).lines(rows))


class Columns:
    """The columns of a table whose rows are added in groups.

    The first group decides which columns are numeric. Later groups may widen columns.
    """

    def __init__(self, headings: Sequence[str]) -> None:
        self._headings = headings
        self._widths = [len(heading) for heading in headings]
        self._numeric: list[bool] | None = None

    def lines(self, rows: Iterable[Sequence[object]]) -> list[str]:
        """Return the lines of a group of rows; the headings precede the first group."""
        body = [list(row) for row in rows]
        texts = [[_cell(value) for value in row] for row in body]
        places = range(len(self._headings))
        self._widths = [max(self._widths[i], *(len(row[i]) for row in texts), 0) for i in places]
        numeric = self._numeric
        if numeric is None:
            numeric = [bool(body) and all(_is_number(row[i]) for row in body) for i in places]
            texts = [[*self._headings], *texts]
        self._numeric = numeric
        return [_table_line(cells, self._widths, numeric) for cells in texts]


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Return one line per name, with the values aligned."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}{_GAP}{_cell(value)}" for name, value in rows)


def seconds(duration: float) -> str:
    """Return a duration in short form: ``0.5s``, ``12s``, ``3m05s``, ``2h07m``, ``4d01h``.

    :param duration: in seconds.
    """
    if duration < 10:
        return f"{max(duration, 0.0):.1f}s"
    for size, name, part, name_of_part in _UNITS:
        if duration >= size:
            rest = int(duration % size / part)
            return f"{int(duration / size)}{name}{rest:02}{name_of_part}"
    return f"{int(duration)}s"


def _table_line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if is_number else cell.ljust(width)
        for cell, width, is_number in zip(cells, widths, numeric, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _cell(value: object) -> str:
    return "-" if value is None else printable(str(value))


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)
