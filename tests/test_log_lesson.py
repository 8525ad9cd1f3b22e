"""The sentence about a port for all counts, and the ports in the guided tour."""

from __future__ import annotations

import pytest

from sockd.log.lesson import tour
from sockd.model.address import Address
from sockd.model.ports import PortCounts, sentence
from sockd.model.records import Listener
from sockd.testing import FakeDaemon

TCP = Listener("tcp", Address("127.0.0.1", 65433), 50)
UDP = Listener("udp", Address("127.0.0.1", 65431), None)
UNIX = Listener("unix", Address("/run/lab"), 50)


@pytest.mark.parametrize(
    ("listener", "counts", "expected"),
    [
        (
            TCP,
            PortCounts(0, 0, 0, frozenset()),
            "nobody is connected; clients find the server at port 65433",
        ),
        (
            TCP,
            PortCounts(1, 1, 1, frozenset({50001})),
            "one connection: the server's port is 65433, the client's is 50001",
        ),
        (
            TCP,
            PortCounts(3, 3, 1, frozenset({50001, 50002, 50003})),
            (
                "the server's port is the same for all 3 connections;"
                " the 3 clients have 3 different ports"
            ),
        ),
        (
            TCP,
            PortCounts(3, 3, 2, frozenset({50001, 50002})),
            (
                "the server's port is the same for all 3 connections;"
                " the 3 clients have 2 different ports on 2 hosts"
            ),
        ),
        (
            TCP,
            PortCounts(2, 2, 2, frozenset({50001})),
            (
                "the server's port is the same for all 2 connections;"
                " the 2 clients have one port on 2 hosts"
            ),
        ),
        (
            UDP,
            PortCounts(2, 1, 1, frozenset({50001})),
            "the server's port is the same for all 2 flows; it is one client with one port",
        ),
        (
            UDP,
            PortCounts(1, 1, 1, frozenset({50001})),
            "one flow: the server's port is 65431, the client's is 50001",
        ),
        (
            UNIX,
            PortCounts(2, 0, 1, frozenset()),
            "a unix socket has a path in place of a port, and its clients have neither",
        ),
    ],
)
def test_the_sentence_is_true(listener: Listener, counts: PortCounts, expected: str) -> None:
    assert sentence(listener, counts) == expected


def test_the_tour_goes_through_the_services_that_listen() -> None:
    daemon = FakeDaemon()
    for kind, transport in (("tcp", "tcp"), ("udp", "udp"), ("multi", "tcp")):
        daemon.add(f"simple-{kind}", kind, transport)
    text = "\n".join(tour(daemon.ledger.services.values()))
    titles = ["1. Bind", "2. The queue", "3. Why does", "4. UDP", "5. On the wire"]
    assert [text.index(title) for title in titles] == sorted(map(text.index, titles))
    assert "nc -u 127.0.0.1 65432" in text
    assert "ss -ltn 'sport = :65432'" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_tour_leaves_out_what_is_not_there() -> None:
    daemon = FakeDaemon()
    daemon.add("simple", "tcp", "tcp")
    text = "\n".join(tour(daemon.ledger.services.values()))
    assert "3. On the wire" in text
    assert "UDP" not in text


def test_where_nothing_listens_the_tour_says_so() -> None:
    assert list(tour([])) == ["nothing listens: start('NAME') a service first"]
