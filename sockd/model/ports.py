"""What has been counted at one server port, and the sentence that is true of it. Pure.

The server's port is the same for every connection; what differs is the clients'.
"""

from __future__ import annotations

from dataclasses import dataclass

from sockd.model.records import Listener


@dataclass(frozen=True, slots=True)
class PortCounts:
    """What has been counted at one server port.

    :ivar connections: how many connections, or flows.
    :ivar clients: how many different pairs of a client's host and port.
    :ivar hosts: how many different hosts of clients.
    :ivar ports: the different port numbers of clients.
    """

    connections: int
    clients: int
    hosts: int
    ports: frozenset[int]


def sentence(listener: Listener, counts: PortCounts) -> str:
    """Return the one sentence about a server port that is true, whatever has been counted."""
    if listener.address.port is None:
        return "a unix socket has a path in place of a port, and its clients have neither"
    sort = "flow" if listener.transport == "udp" else "connection"
    if counts.connections == 0:
        return f"nobody is connected; clients find the server at port {listener.address.port}"
    if counts.connections == 1:
        [port] = counts.ports
        return f"one {sort}: the server's port is {listener.address.port}, the client's is {port}"
    everybody = f"all {counts.connections} {sort}s"
    return f"the server's port is the same for {everybody}; {_client_counts(counts)}"


def _client_counts(counts: PortCounts) -> str:
    if counts.clients == 1:
        return "it is one client with one port"
    numbers = len(counts.ports)
    where = "" if numbers == counts.clients else f" on {counts.hosts} hosts"
    ports = "one port" if numbers == 1 else f"{numbers} different ports"
    return f"the {counts.clients} clients have {ports}{where}"
