"""Each event has one message, in the terms of the socket interface."""

from __future__ import annotations

from sockd.log.messages import sentence_of
from sockd.model.events import Event
from sockd.testing import FakeDaemon


def test_the_life_of_a_socket_in_sentences() -> None:
    daemon = FakeDaemon()
    events: list[Event] = []
    daemon.ledger.subscribe(events.append)
    echo = daemon.add("echo")
    connection = echo.open()
    connection.received(6, 0.0)
    connection.sent(5, 0.0)
    echo.refuse()
    echo.close(connection)
    datagrams = daemon.add("datagrams", "udp", "udp")
    datagrams.open()
    assert [sentence_of(event) for event in events] == [
        "Bind tcp 127.0.0.1:65432 (echo)",
        "Listen on 127.0.0.1:65432, backlog 50 (echo)",
        "Connected by 127.0.0.1:50001 on 127.0.0.1:65432 (echo #1)",
        "Refused 127.0.0.1:50000 on 127.0.0.1:65432: full (echo)",
        "Closed 127.0.0.1:50001 on 127.0.0.1:65432: eof, 6 bytes in, 5 out (echo #1)",
        "Bind udp 127.0.0.1:65432 (datagrams)",
        "First datagram from 127.0.0.1:50001 on 127.0.0.1:65432 (datagrams #2)",
    ]


def test_nothing_in_a_sentence_can_steer_a_terminal() -> None:
    daemon = FakeDaemon()
    events: list[Event] = []
    echo = daemon.add("echo")
    daemon.ledger.subscribe(events.append)
    echo.open("\x1b[2J{peer}")
    assert sentence_of(events[0]).startswith("Connected by \\x1b[2J{peer}:50001 on")
