"""The lines of ``lesson()``: which port stays the same, which one changes, and why. Pure.

Many textbooks say that a server "switches to a new port" for each connection. It does not: the
accepted socket keeps the listener's port, and each connection has a different client port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sockd.log.banner import client_command
from sockd.model.records import Listener, ServiceRecord


def tour(records: Iterable[ServiceRecord]) -> Iterator[str]:
    """Return the lines of a guided tour through the services that listen."""
    steps = list(_steps(list(records)))
    for number, (title, lines) in enumerate(steps, 1):
        yield f"{number}. {title}"
        yield from (f"   {line}" for line in lines)
        yield ""
    if not steps:
        yield "nothing listens: start('NAME') a service first"


def _steps(records: list[ServiceRecord]) -> Iterator[tuple[str, list[str]]]:
    one = _first(records, "tcp")
    many = _first(records, "multi")
    datagrams = _first(records, "udp")
    if one is not None:
        yield _bind_step(one)
        yield _queue_step(one)
    if many is not None:
        yield _ports_step(many)
    if datagrams is not None:
        yield _datagram_step(datagrams)
    streams = many or one
    if streams is not None:
        yield _wire_step(streams)


def _first(records: list[ServiceRecord], kind: str) -> Listener | None:
    """Return the first internet listener of a kind."""
    listeners = (one for record in records if record.kind == kind for one in record.listeners)
    return next((one for one in listeners if one.address.port is not None), None)


def _bind_step(listener: Listener) -> tuple[str, list[str]]:
    return "Bind, listen, accept", [
        f"The server bound port {listener.address.port} once and listens; the log says so.",
        f"    ss -ltn 'sport = :{listener.address.port}'",
        "Connect, type a line, and read `Connected by` in the log: that was accept().",
        f"    {client_command(listener)}",
    ]


def _queue_step(listener: Listener) -> tuple[str, list[str]]:
    return "The queue", [
        "Leave that client connected and start a second one. It connects, but gets no answer:",
        "it stays in the listener's accept queue until the first one disconnects.",
        f"    {client_command(listener)}",
        "    services()          the column `waiting`",
    ]


def _ports_step(listener: Listener) -> tuple[str, list[str]]:
    return "Why does the port change?", [
        "Start this one twice. Both are served at once.",
        f"    {client_command(listener)}",
        "    ports()",
        f"The server's port is {listener.address.port} both times. What differs is the client's:",
        "the client's system picks a free one for each connection. A connection is its 4-tuple:",
        "client address, client port, server address, server port.",
    ]


def _datagram_step(listener: Listener) -> tuple[str, list[str]]:
    return "UDP", [
        "No listen, no accept, no connection: each datagram carries its sender's address.",
        f"    {client_command(listener)}",
        "    ports()             shows flows: the datagrams of one peer, until it is idle",
    ]


def _wire_step(listener: Listener) -> tuple[str, list[str]]:
    return "On the wire", [
        "In Wireshark, the display filter of the port shows all its connections; the one that",
        "connection(ID) prints has both ports, the server's and one client's.",
        f"    tcp.port == {listener.address.port}",
    ]
