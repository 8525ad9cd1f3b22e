"""The stats endpoint binds and closes with the services, and reports bind errors."""

from __future__ import annotations

from errno import EADDRINUSE
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from sockd.config.endpoint import parse_stream
from sockd.config.specs import StatsSpec
from sockd.errors import BindError, SourceLocation
from sockd.reactor import IReactor
from sockd.stats.service import StatsService
from sockd.testing import FakeDaemon

LOOPBACK = "127.0.0.1"
PLACE = SourceLocation("lab.ini", 7, "stats", "listen")


def service(reactor: MemoryReactorClock, *endpoints: str) -> StatsService:
    spec = StatsSpec(tuple(parse_stream(text, PLACE) for text in endpoints), ("lab.example",))
    return StatsService(spec, FakeDaemon(), cast(IReactor, reactor))


def connected(reactor: MemoryReactorClock) -> tuple[IProtocol, StringTransport]:
    """Return a connection to the first of the listening ports."""
    protocol = reactor.tcpServers[0][1].buildProtocol(IPv4Address("TCP", LOOPBACK, 50001))
    assert protocol is not None
    transport = StringTransport()
    protocol.makeConnection(transport)
    return protocol, transport


def test_it_binds_once_and_says_where() -> None:
    reactor = MemoryReactorClock()
    stats = service(reactor, "tcp:8007:interface=127.0.0.1")
    stats.privilegedStartService()
    stats.startService()
    stats.startService()
    assert len(reactor.tcpServers) == 1
    assert [one.address.port for one in stats.listeners] == [8007]
    stats.stopService()
    assert stats.listeners == ()


def test_starting_binds_what_was_not_bound_before() -> None:
    reactor = MemoryReactorClock()
    stats = service(reactor, "tcp:8007:interface=127.0.0.1", "tcp:8008:interface=127.0.0.1")
    stats.startService()
    assert [one.address.port for one in stats.listeners] == [8007, 8008]


def test_a_port_that_cannot_be_had_is_a_problem_of_its_line() -> None:
    class Taken(MemoryReactorClock):
        def listenTCP(self, port: int, *_: object, **__: object) -> None:
            raise CannotListenError(LOOPBACK, port, OSError(EADDRINUSE, "in use"))

    stats = service(Taken(), "tcp:8007:interface=127.0.0.1")  # type: ignore[no-untyped-call]
    for start in (stats.privilegedStartService, stats.startService):
        with pytest.raises(BindError, match=r"^lab.ini:7: \[stats\] listen: "):
            start()


def test_stopping_closes_the_open_connections() -> None:
    reactor = MemoryReactorClock()
    stats = service(reactor, "tcp:8007:interface=127.0.0.1")
    stats.startService()
    protocol, transport = connected(reactor)
    done: list[object] = []
    stats.stopService().addCallback(done.append)
    assert transport.disconnecting
    assert done == []
    protocol.connectionLost(Failure(ConnectionDone()))
    assert done == [None]


@pytest.mark.parametrize("host", ["lab.example", "0.0.0.0", "localhost"])
def test_it_answers_to_its_own_names(host: str) -> None:
    reactor = MemoryReactorClock()
    stats = service(reactor, "tcp:8007")
    stats.startService()
    protocol, transport = connected(reactor)
    protocol.dataReceived(b"GET /health HTTP/1.1\r\nHost: %b\r\n\r\n" % host.encode())
    reactor.advance(0)
    assert transport.value().startswith(b"HTTP/1.1 200 OK\r\n")
