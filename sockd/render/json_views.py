"""The JSON objects of services, connections and ports.

Pure: values from the kernel (accept queues, ``TCP_INFO``) are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from sockd.model.ports import PortCounts, sentence
from sockd.model.records import Connection, Listener, ServiceRecord
from sockd.render.fields import FIELDS, Field, address_view

JsonObject = dict[str, object]
_COUNTERS = ("opened", "closed", "refused", "bytes_in", "bytes_out", "reads", "writes", "errors")


def listener_view(listener: Listener, waiting: int | None) -> JsonObject:
    """Return the JSON object of a listener.

    :param waiting: the number of clients in its accept queue; ``None`` if unknown.
    """
    return {
        "transport": listener.transport,
        **address_view(listener.address),
        "backlog": listener.backlog,
        "waiting": waiting,
    }


def service_view(record: ServiceRecord, waiting: Callable[[Listener], int | None]) -> JsonObject:
    """Return the JSON object of a service.

    :param waiting: returns the number of clients in a listener's accept queue.
    """
    return {
        "name": record.name,
        "kind": record.kind,
        "reply": record.reply,
        "state": record.state.value,
        "listeners": [listener_view(one, waiting(one)) for one in record.listeners],
        "active": record.active,
        **{name: getattr(record, name) for name in _COUNTERS},
        "ends": {reason.value: count for reason, count in record.ends.items()},
        "refusals": {reason.value: count for reason, count in record.refusals.items()},
    }


def totals_view(records: Iterable[ServiceRecord]) -> JsonObject:
    """Return the sums of the counters of all services."""
    records = list(records)
    names = ("active", *_COUNTERS)
    return {name: sum(getattr(record, name) for record in records) for name in names}


def connection_view(connection: Connection, tcp: Mapping[str, object] | None) -> JsonObject:
    """Return the JSON object of a connection.

    :param tcp: the kernel's view of it, or ``None``.
    """
    return {**fields_view(FIELDS, connection), "tcp": tcp}


def fields_view(fields: Iterable[Field], connection: Connection) -> JsonObject:
    """Return the members of a connection's JSON object for some fields."""
    return {field.name: field.json(connection) for field in fields}


class PortsTable:
    """The rows of ``/ports``, collected from open connections one at a time."""

    def __init__(self, records: Iterable[ServiceRecord]) -> None:
        self._rows: dict[tuple[str, Listener], PortRow] = {}
        for record in records:
            for listener in record.listeners:
                self._row(record.name, listener)

    def add(self, connection: Connection) -> None:
        """Add an open connection."""
        self._row(connection.service.name, connection.listener).add(connection)

    def views(self) -> Iterable[JsonObject]:
        """Return the JSON object of each server port."""
        return (row.view() for row in self.rows())

    def rows(self) -> Iterable[PortRow]:
        """Return the row of each server port."""
        return self._rows.values()

    def _row(self, service: str, listener: Listener) -> PortRow:
        key = (service, listener)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = PortRow(service, listener)
        return row


class PortRow:
    """A server port with its peers.

    :ivar service: the name of the service.
    :ivar connections: the number of connections that were added.
    """

    def __init__(self, service: str, listener: Listener) -> None:
        self.service = service
        self.listener = listener
        self.connections = 0
        self._local_ports = {listener.address.port}
        self._peers: dict[str, set[int]] = {}
        self._peer_ports: set[int] = set()

    def add(self, connection: Connection) -> None:
        """Add a connection."""
        self.connections += 1
        self._local_ports.add(connection.local.port)
        ports = self._peers.setdefault(connection.peer.host, set())
        if connection.peer.port is not None:
            ports.add(connection.peer.port)
            self._peer_ports.add(connection.peer.port)

    def sentence(self) -> str:
        """Return the sentence about the port and its clients."""
        clients = sum(map(len, self._peers.values()))
        ports = frozenset(self._peer_ports)
        counts = PortCounts(self.connections, clients, len(self._peers), ports)
        return sentence(self.listener, counts)

    def summary(self) -> JsonObject:
        """Return the JSON object without the peers."""
        return {
            "transport": self.listener.transport,
            **address_view(self.listener.address),
            "service": self.service,
            "distinct_local_ports": len(self._local_ports),
            "distinct_peer_ports": sum(map(len, self._peers.values())),
            "sentence": self.sentence(),
        }

    def peers(self) -> Iterator[tuple[str, list[int]]]:
        """Return the host and the ports of each peer."""
        for host, ports in self._peers.items():
            yield host, sorted(ports)

    def view(self) -> JsonObject:
        """Return the JSON object."""
        peers = [{"host": host, "ports": ports} for host, ports in self.peers()]
        return {**self.summary(), "peers": peers}
