"""Text tables and CSV, in slices. Pure.

Each step handles at most :data:`~sockd.stats.slices.RECORDS_PER_SLICE` records. A row of ``None``
stands for a record that is not listed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice
from typing import NamedTuple

from sockd.model.address import Address
from sockd.model.records import Connection
from sockd.render.fields import TABLE_FIELDS, cells, csv_columns, csv_row, headings
from sockd.render.json_views import PortRow, PortsTable
from sockd.render.rows import (
    SERVICE_COLUMNS,
    RunningService,
    service_row,
)
from sockd.render.tables import Columns
from sockd.stats.http.answers import TEXT, Answer
from sockd.stats.http.formats import VARY, Format
from sockd.stats.slices import RECORDS_PER_SLICE, Selection
from sockd.support.text import printable

CSV = "text/csv; charset=utf-8; header=present"

_PORT_COLUMNS = ("service", "transport", "host", "port", "peer_host", "peer_port")

_FORMULAS = ("=", "+", "-", "@")
"""First characters that make a spreadsheet evaluate a cell; unix clients choose their own paths."""

Row = Sequence[object]
Rows = Iterator[Row | None]
Remarks = Callable[[], Iterable[str]]
"""Returns the lines below a complete table."""


def services_listing(form: Format, services: Iterable[RunningService]) -> Answer:
    """Return the services as a table."""
    rows = iter([service_row(service) for service in services])
    return _listing(form, SERVICE_COLUMNS, rows)


def connections_listing(form: Format, selection: Selection, now: float) -> Answer:
    """Return connections as a table; CSV has all members of the JSON except ``tcp``."""
    if form is Format.CSV:
        flat = (None if one is None else csv_row(one) for one in selection)
        return _listing(form, csv_columns(), flat)
    columns = (*headings(TABLE_FIELDS), "ended")
    rows = (
        None if one is None else [*cells(TABLE_FIELDS, one, now), one.reason] for one in selection
    )

    def remarks() -> Iterator[str]:
        if selection.following is not None:
            yield f"there are more: ?after={selection.following}"

    return _listing(form, columns, rows, remarks)


def ports_listing(form: Format, connections: Iterable[Connection], table: PortsTable) -> Answer:
    """Return a row for each connection, and for each server port without connections."""
    pairs = _pairs(connections, table)
    if form is Format.CSV:
        flat = (None if pair is None else _flat_pair(pair) for pair in pairs)
        return _listing(form, _PORT_COLUMNS, flat)
    columns = ("service", "transport", "server", "client")
    return _listing(form, columns, pairs, lambda: _sentences(table))


def _listing(form: Format, columns: Sequence[str], rows: Rows, remarks: Remarks = tuple) -> Answer:
    if form is Format.CSV:
        return Answer(_csv_slices(columns, rows), content_type=CSV, headers=VARY)
    return Answer(_text_slices(columns, rows, remarks), content_type=TEXT, headers=VARY)


def _text_slices(headings: Sequence[str], rows: Rows, remarks: Remarks) -> Iterator[bytes]:
    columns = Columns(headings)
    is_begun = False
    for group in _groups(rows):
        lines = columns.lines(group) if group else []
        is_begun = is_begun or bool(lines)
        yield _encoded_lines(lines)
    yield _encoded_lines([] if is_begun else columns.lines(()))
    below = list(remarks())
    yield _encoded_lines(["", *below] if below else [])


def _csv_slices(columns: Sequence[str], rows: Rows) -> Iterator[bytes]:
    """Return lines in the format of RFC 4180."""
    yield _csv_lines([[name.replace(" ", "_") for name in columns]])
    for group in _groups(rows):
        yield _csv_lines(group)


def _groups(rows: Rows) -> Iterator[list[Row]]:
    while group := list(islice(rows, RECORDS_PER_SLICE)):
        yield [row for row in group if row is not None]


def _encoded_lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _csv_lines(rows: Iterable[Row]) -> bytes:
    buffer = StringIO(newline="")
    csv.writer(buffer).writerows([_harmless(value) for value in row] for row in rows)
    return buffer.getvalue().encode()


def _harmless(value: object) -> object:
    """Return a cell without control characters, and without formulas for spreadsheets."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


class _Pair(NamedTuple):
    """A server port and, if it has one, a client."""

    service: str
    transport: str
    server: Address
    client: Address | None


def _pairs(connections: Iterable[Connection], table: PortsTable) -> Iterator[_Pair | None]:
    for connection in connections:
        if connection.closed is None:
            table.add(connection)
        yield None
    for row in table.rows():
        listener = row.listener
        if not row.connections:
            yield _Pair(row.service, listener.transport, listener.address, None)
        for client in _client_addresses(row):
            yield _Pair(row.service, listener.transport, listener.address, client)


def _client_addresses(row: PortRow) -> Iterator[Address]:
    for host, ports in row.peers():
        if ports:
            yield from (Address(host, port) for port in ports)
        else:
            yield Address(host)


def _flat_pair(pair: _Pair) -> Row:
    client = pair.client
    peer = (None, None) if client is None else (client.host, client.port)
    return (pair.service, pair.transport, pair.server.host, pair.server.port, *peer)


def _sentences(table: PortsTable) -> Iterator[str]:
    for row in table.rows():
        yield f"{row.service} {row.listener.transport} {row.listener.address}: {row.sentence()}"
