"""The fields of a connection: JSON, CSV, tables and events are generated from this list.

To add a field, append a :class:`Field` to :data:`FIELDS`. The order matters to scripts that read
the CSV by position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from sockd.model.address import Address
from sockd.model.records import Connection
from sockd.render.tables import seconds
from sockd.support.text import rfc3339

Value: TypeAlias = Callable[[Connection], object]
Cell: TypeAlias = Callable[[Connection, float], object]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a connection.

    :ivar name: the name of the JSON member and the CSV column. An address has two columns,
        ``NAME_host`` and ``NAME_port``.
    :ivar value: returns the value: an :class:`Address` or a JSON value.
    :ivar is_address: whether the value is an address or ``None``.
    :ivar is_fixed: whether the value never changes; the ``accept`` event contains these fields.
    :ivar heading: the heading in tables; empty: tables omit the field.
    :ivar cell: returns the table cell, given the time in seconds since the epoch; ``None``: the
        cell is the value.
    """

    name: str
    value: Value
    is_address: bool = False
    is_fixed: bool = False
    heading: str = ""
    cell: Cell | None = None

    def json(self, connection: Connection) -> object:
        """Return the JSON value."""
        value = self.value(connection)
        return address_view(value) if isinstance(value, Address) else value

    def shown(self, connection: Connection, now: float) -> object:
        """Return the table cell.

        :param now: in seconds since the epoch.
        """
        return self.value(connection) if self.cell is None else self.cell(connection, now)


def address_view(address: Address) -> dict[str, object]:
    """Return the JSON object of an address: ``{"host", "port"}``."""
    return {"host": address.host, "port": address.port}


def display_filter(connection: Connection) -> str | None:
    """Return the Wireshark display filter of a connection; ``None`` for unix sockets.

    It consists of port numbers only and contains no text that a peer can choose. If a load balancer
    relays the connection, it has the load balancer's port, since that is in the packets.
    """
    if connection.local.port is None:
        return None
    protocol = "udp" if connection.listener.transport == "udp" else "tcp"
    local, remote = connection.local.port, (connection.via or connection.peer).port
    return f"{protocol}.port == {local} && {protocol}.port == {remote}"


def client_text(connection: Connection) -> str:
    """Return the client's address, such as ``192.0.2.1:50412``, and its load balancer's, if any."""
    if connection.via is None:
        return str(connection.peer)
    return f"{connection.peer} via {connection.via}"


def _since(start: float, connection: Connection, now: float) -> str:
    """Return the time from ``start`` until now, or until the end of a closed connection."""
    return seconds((now if connection.closed is None else connection.closed) - start)


FIELDS = (
    Field("id", lambda one: one.id, is_fixed=True, heading="id"),
    Field("service", lambda one: one.service.name, heading="service"),
    Field("kind", lambda one: one.service.kind),
    Field("transport", lambda one: one.listener.transport, is_fixed=True, heading="transport"),
    Field("state", lambda one: "open" if one.closed is None else "closed"),
    Field("local", lambda one: one.local, is_address=True, is_fixed=True, heading="local"),
    Field(
        "peer",
        lambda one: one.peer,
        is_address=True,
        is_fixed=True,
        heading="peer",
        cell=lambda one, now: client_text(one),
    ),
    Field("via", lambda one: one.via, is_address=True, is_fixed=True),
    Field(
        "opened",
        lambda one: rfc3339(one.opened),
        heading="age",
        cell=lambda one, now: _since(one.opened, one, now),
    ),
    Field(
        "last_activity",
        lambda one: rfc3339(one.last_activity),
        heading="idle",
        cell=lambda one, now: _since(one.last_activity, one, now),
    ),
    Field("closed", lambda one: None if one.closed is None else rfc3339(one.closed)),
    Field("reason", lambda one: one.reason and one.reason.value),
    Field("bytes_in", lambda one: one.bytes_in, heading="bytes_in"),
    Field("bytes_out", lambda one: one.bytes_out, heading="bytes_out"),
    Field("reads", lambda one: one.reads, heading="reads"),
    Field("writes", lambda one: one.writes, heading="writes"),
    Field("display_filter", display_filter, is_fixed=True),
)

FIXED_FIELDS = tuple(field for field in FIELDS if field.is_fixed)
TABLE_FIELDS = tuple(field for field in FIELDS if field.heading)


def table_fields(*names: str) -> tuple[Field, ...]:
    """Return the fields with these names, in this order."""
    known = {field.name: field for field in FIELDS}
    return tuple(known[name] for name in names)


def headings(fields: Iterable[Field]) -> list[str]:
    """Return the headings of a table."""
    return [field.heading for field in fields]


def cells(fields: Iterable[Field], connection: Connection, now: float) -> list[object]:
    """Return a connection as a row of a table.

    :param now: in seconds since the epoch.
    """
    return [field.shown(connection, now) for field in fields]


def csv_columns() -> list[str]:
    """Return the columns of the CSV."""
    return [column for field in FIELDS for column in _columns(field)]


def csv_row(connection: Connection) -> list[object]:
    """Return a connection as a row of the CSV."""
    return [value for field in FIELDS for value in _flat(field, connection)]


def _columns(field: Field) -> tuple[str, ...]:
    return (f"{field.name}_host", f"{field.name}_port") if field.is_address else (field.name,)


def _flat(field: Field, connection: Connection) -> Iterator[object]:
    value = field.value(connection)
    if not field.is_address:
        yield value
    elif isinstance(value, Address):
        yield from (value.host, value.port)
    else:
        yield from (None, None)
