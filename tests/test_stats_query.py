"""The parameters of /connections: valid ones are parsed, others are refused with a hint."""

from __future__ import annotations

import pytest

from sockd.model.address import unix_address
from sockd.model.records import Connection
from sockd.stats.http.answers import RequestError
from sockd.stats.http.query import Chosen, ConnectionQuery, parse_query
from sockd.testing import FakeDaemon

SERVICES = ("echo", "upper")


def parse(**parameters: str) -> ConnectionQuery:
    """Parse parameters that are given once each."""
    return parse_query({name: (value,) for name, value in parameters.items()}, SERVICES)


def selected(daemon: FakeDaemon, query: ConnectionQuery) -> list[Connection]:
    """Return all that a query selects, as if there were no limit."""
    return [one for one in query.source(daemon.ledger) if query.selects(one)]


def test_without_parameters_the_open_ones_are_asked_for() -> None:
    assert parse() == ConnectionQuery(None, None, Chosen.OPEN, 1000, 0)


def test_an_ipv4_peer_may_be_asked_for_as_ipv6_has_it() -> None:
    assert parse(peer="::ffff:127.0.0.1").peer == parse(peer="::FFFF:7F00:1").peer == "127.0.0.1"


def test_every_parameter_is_understood() -> None:
    query = parse(service="upper", peer="0:0:0:0:0:0:0:1", state="all", limit="100000", after="7")
    assert query == ConnectionQuery("upper", "::1", Chosen.ALL, 100000, 7)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("service", "nope", "service must be echo or upper"),
        ("service", "", "service must be echo or upper"),
        ("state", "OPEN", "state must be open, closed or all"),
        ("state", "", "state must be open, closed or all"),
        ("limit", "0", "limit must be a number from 1 up"),
        ("limit", "-1", "limit must be a number from 1 up"),
        ("limit", "1e3", "limit must be a number from 1 up"),
        ("limit", "٣", "limit must be a number from 1 up"),
        ("limit", "9" * 5000, "limit must be a number from 1 up"),
        ("after", "x", "after must be the number of a connection"),
        ("after", "", "after must be the number of a connection"),
        ("peer", "127.0.0.1:80", "peer must be an address without a port"),
        ("peer", "localhost", "peer must be an address without a port"),
        ("peer", "a/b", "peer must be an address without a port"),
        ("sevice", "echo", "unknown parameter; known: service, peer, state, limit, after"),
    ],
)
def test_nonsense_is_refused_with_what_would_be_right(name: str, value: str, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(**{name: value})
    assert caught.value.status == 400
    assert str(caught.value).startswith(text)


def test_a_parameter_may_be_given_once() -> None:
    with pytest.raises(RequestError, match="state is given twice"):
        parse_query({"state": ("open", "closed")}, SERVICES)


def test_each_parameter_selects() -> None:
    daemon = FakeDaemon()
    echo, upper = daemon.add("echo"), daemon.add("upper")
    first = echo.open("::1")
    second = upper.open("192.0.2.1")
    third = echo.open("192.0.2.1")
    echo.close(first)
    assert selected(daemon, parse()) == [second, third]
    assert selected(daemon, parse(state="closed")) == [first]
    assert selected(daemon, parse(state="all")) == [first, second, third]
    assert selected(daemon, parse(state="all", service="echo")) == [first, third]
    assert selected(daemon, parse(state="all", peer="192.0.2.1")) == [second, third]
    assert selected(daemon, parse(state="all", peer="[0::1]")) == [first]
    assert selected(daemon, parse(state="all", after="2")) == [third]


def test_peers_are_compared_as_addresses_not_as_text() -> None:
    daemon = FakeDaemon()
    echo = daemon.add("echo")
    long, odd, unix = echo.open("2001:DB8:0::1"), echo.open(":odd"), echo.open("/run/client.sock")
    assert selected(daemon, parse(peer="2001:db8::1")) == [long]
    assert selected(daemon, parse(peer="/run/client.sock")) == [unix]
    assert odd in selected(daemon, parse())


@pytest.mark.parametrize("name", [b"", b"/run/x]", b"abcd", b"\0lab\n", b"caf\xe9", b"[::1]"])
def test_a_unix_client_is_asked_for_by_the_name_that_is_shown(name: bytes) -> None:
    daemon = FakeDaemon()
    echo = daemon.add("echo", transport="unix")
    address = unix_address(name)
    one = daemon.ledger.open(echo.record, echo.listener, echo.listener.address, address)
    echo.open("127.0.0.1")
    assert selected(daemon, parse(peer=address.host)) == [one]


def test_a_connection_that_closes_meanwhile_is_not_open_any_more() -> None:
    daemon = FakeDaemon()
    echo = daemon.add("echo")
    connections = [echo.open() for _ in range(3)]
    query = parse()
    source = query.source(daemon.ledger)
    assert query.selects(next(source))
    echo.close(connections[1])
    assert [one.id for one in source if query.selects(one)] == [3]
