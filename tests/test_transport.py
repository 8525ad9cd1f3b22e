"""The time at which the transport of an accepted connection starts to read."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from sockd.net.transport import PatientServer, SelfStarter


class Accepted:
    """An accepted connection on a reactor that does nothing."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self._ends = socket.socketpair()

    def transport(self, protocol: Protocol) -> PatientServer:
        """Return its transport, with a protocol that is not connected yet."""
        port = Port(0, ServerFactory(), reactor=self.reactor)
        peer = ("127.0.0.1", 50001)
        return PatientServer(self._ends[0], protocol, peer, port, 1, self.reactor)

    def close(self) -> None:
        """Close both ends."""
        for end in self._ends:
            end.close()


@pytest.fixture
def accepted() -> Iterator[Accepted]:
    """Accept a connection."""
    made = Accepted()
    yield made
    made.close()


def test_a_self_starter_is_read_when_it_says_so(accepted: Accepted) -> None:
    transport = accepted.transport(SelfStarter())
    assert verifyObject(ITCPTransport, transport)
    assert accepted.reactor.getReaders() == []
    transport.resumeProducing()  # type: ignore[no-untyped-call]
    assert accepted.reactor.getReaders() == [transport]


def test_any_other_protocol_is_read_at_once(accepted: Accepted) -> None:
    transport = accepted.transport(Protocol())
    assert accepted.reactor.getReaders() == [transport]
