"""Counts of the connections at one server port, and a sentence that summarizes them. Pure.

The server's port is the same for all connections; the clients' ports differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from sockd.model.records import Listener


@dataclass(frozen=True, slots=True)
class PortCounts:
    """Counts of the connections at one server port.

    :ivar connections: the number of connections or flows.
    :ivar clients: the number of distinct client addresses (host and port).
    :ivar hosts: the number of distinct client hosts.
    :ivar ports: the distinct port numbers of clients.
    """

    connections: int
    clients: int
    hosts: int
    ports: frozenset[int]


def sentence(listener: Listener, counts: PortCounts) -> str:
    """Return a sentence about a server port and the ports of its clients."""
    if listener.address.port is None:
        return "a unix socket has a path in place of a port, and its clients have neither"
    sort = "flow" if listener.transport == "udp" else "connection"
    if counts.connections == 0:
        return f"nobody is connected; clients find the server at port {listener.address.port}"
    if counts.connections == 1:
        [port] = counts.ports
        return f"one {sort}: the server's port is {listener.address.port}, the client's is {port}"
    total = f"all {counts.connections} {sort}s"
    return f"the server's port is the same for {total}; {_client_counts(counts)}"


def _client_counts(counts: PortCounts) -> str:
    if counts.clients == 1:
        return "it is one client with one port"
    numbers = len(counts.ports)
    where = "" if numbers == counts.clients else f" on {counts.hosts} hosts"
    ports = "one port" if numbers == 1 else f"{numbers} different ports"
    return f"the {counts.clients} clients have {ports}{where}"
