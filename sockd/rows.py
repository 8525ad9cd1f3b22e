"""The ledger as rows of tables for people, the same in the admin shell and over HTTP. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sockd.records import Connection, Listener
from sockd.tables import seconds

if TYPE_CHECKING:
    from sockd.interfaces import INetworkService

SERVICE_COLUMNS = (
    *("name", "kind", "reply", "state", "listens on", "waiting"),
    *("active", "opened", "closed", "refused", "bytes_in", "bytes_out"),
)
CONNECTION_COLUMNS = (
    *("id", "service", "transport", "local", "peer", "age", "idle"),
    *("bytes_in", "bytes_out", "reads", "writes"),
)


def service_row(service: INetworkService) -> list[object]:
    """Return a service: where it listens and what has passed."""
    record = service.record
    queues = [service.waiting(listener) for listener in record.listeners]
    known = [length for length in queues if length is not None]
    return [
        record.name,
        record.kind,
        record.reply,
        record.state.value,
        places(record.listeners) or None,
        sum(known) if known else None,
        record.active,
        record.opened,
        record.closed,
        record.refused,
        record.bytes_in,
        record.bytes_out,
    ]


def connection_row(connection: Connection, now: float) -> list[object]:
    """Return a connection: whose it is, how old, and what has passed.

    :param now: in seconds since the epoch; a closed connection's age is that at its end.
    """
    end = now if connection.closed is None else connection.closed
    return [
        connection.id,
        connection.service.name,
        connection.listener.transport,
        connection.local,
        connection.peer,
        seconds(end - connection.opened),
        seconds(end - connection.last_activity),
        connection.bytes_in,
        connection.bytes_out,
        connection.reads,
        connection.writes,
    ]


def places(listeners: Iterable[Listener]) -> str:
    """Return where a service listens, in one line."""
    return ", ".join(str(listener.address) for listener in listeners)
