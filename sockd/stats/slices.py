"""Long answers in slices: JSON about many connections, generated in small steps.

Pure. Each step of these iterators handles at most :data:`RECORDS_PER_SLICE` records (connections,
or ports of peers) and yields their part of the answer, which may be empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from sockd.model.records import Connection
from sockd.render.json_views import JsonObject, PortRow, PortsTable
from sockd.stats.http.answers import encoded
from sockd.stats.http.query import ConnectionQuery

RECORDS_PER_SLICE = 64
"""The maximum number of records in a slice."""


class Selection:
    """The connections that a query selects, and ``None`` for each that it skips.

    :param connections: the connections to search, ordered by number.
    :ivar following: the ``after`` of the next page; ``None`` at the end. Set by the iteration.
    """

    def __init__(self, connections: Iterable[Connection], query: ConnectionQuery) -> None:
        self._connections = connections
        self._query = query
        self.following: int | None = None

    def __iter__(self) -> Iterator[Connection | None]:
        """Iterate over the connections, once."""
        listed = last = 0
        for connection in self._connections:
            if not self._query.selects(connection):
                yield None
            elif listed == self._query.limit:
                self.following = last
                return
            else:
                yield connection
                listed, last = listed + 1, connection.id


def object_slices(members: Iterable[tuple[str, object]]) -> Iterator[bytes]:
    """Return an indented JSON object, in slices.

    :param members: names and values. An iterator as a value becomes a list, with one item in each
        slice.
    """
    start = "{\n"
    for name, value in members:
        yield f"{start}  {json.dumps(name)}: ".encode("ascii")
        if isinstance(value, Iterator):
            yield from _list_slices(value)
        else:
            yield _indented(value, 2)
        start = ",\n"
    yield b"\n}\n"


def _list_slices(items: Iterator[object]) -> Iterator[bytes]:
    start = b"[\n    "
    for item in items:
        yield start + _indented(item, 4)
        start = b",\n    "
    yield b"[]" if start.startswith(b"[") else b"\n  ]"


def _indented(value: object, depth: int) -> bytes:
    return json.dumps(value, indent=2).replace("\n", "\n" + depth * " ").encode("ascii")


def connection_slices(
    selection: Selection, view: Callable[[Connection], JsonObject]
) -> Iterator[bytes]:
    """Return the list of the selected connections."""
    return _sliced(_connection_pieces(selection, view))


def port_slices(connections: Iterable[Connection], table: PortsTable) -> Iterator[bytes]:
    """Return a list with a row for each server port.

    :param connections: those that were open when the answer began.
    :param table: the rows of ports without connections.
    """
    return _sliced(_port_pieces(connections, table))


def _sliced(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join the pieces of single records into slices."""
    while group := list(islice(pieces, RECORDS_PER_SLICE)):
        yield b"".join(group)


def _connection_pieces(
    selection: Selection, view: Callable[[Connection], JsonObject]
) -> Iterator[bytes]:
    yield b'{"connections": ['
    listed = 0
    for connection in selection:
        if connection is None:
            yield b""
        else:
            yield _separated(listed, encoded(view(connection)))
            listed += 1
    yield b'\n], "next": %b}\n' % encoded(selection.following)


def _port_pieces(connections: Iterable[Connection], table: PortsTable) -> Iterator[bytes]:
    for connection in connections:
        if connection.closed is None:
            table.add(connection)
        yield b""
    yield b'{"ports": ['
    for number, row in enumerate(table.rows()):
        yield _separated(number, _opened(row.summary(), "peers"))
        yield from _peer_pieces(row)
        yield b"]}"
    yield b"\n]}\n"


def _peer_pieces(row: PortRow) -> Iterator[bytes]:
    for number, (host, ports) in enumerate(row.peers()):
        yield _separated(number, _opened({"host": host}, "ports"))
        for index, port in enumerate(ports):
            yield b", %d" % port if index else b"%d" % port
        yield b"]}"


def _separated(number: int, text: bytes) -> bytes:
    """Return a list item on its own line."""
    return b",\n" + text if number else b"\n" + text


def _opened(view: JsonObject, name: str) -> bytes:
    """Return an object as JSON, up to the start of a list that is its last member."""
    return encoded({**view, name: []}).removesuffix(b"]}")
