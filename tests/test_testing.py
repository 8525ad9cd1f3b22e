"""The fakes conform to the interfaces that they replace."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from sockd.errors import BindError
from sockd.interfaces import IDaemon, INetworkService
from sockd.model.reasons import EndReason
from sockd.model.records import State
from sockd.testing import STARTED, FakeDaemon


def test_the_fakes_provide_the_interfaces() -> None:
    daemon = FakeDaemon()
    assert verifyObject(IDaemon, daemon)
    assert verifyObject(INetworkService, daemon.add("echo"))


def test_peers_come_and_go_in_the_ledger() -> None:
    daemon = FakeDaemon()
    service = daemon.add("echo")
    first, second = service.open(), service.open("192.0.2.1", 1234)
    assert (first.peer.port, str(second.peer)) == (50001, "192.0.2.1:1234")
    assert first.opened == STARTED
    daemon.clock.advance(5)
    service.close(first)
    service.refuse()
    assert (first.closed, first.reason) == (STARTED + 5, EndReason.EOF)
    assert list(daemon.ledger.open_connections()) == [second]
    assert service.record.refused == 1


def test_disconnect_closes_an_open_connection_once() -> None:
    daemon = FakeDaemon()
    connection = daemon.add("echo").open()
    assert daemon.disconnect(connection.id)
    assert not daemon.disconnect(connection.id)
    assert connection.reason is EndReason.DISCONNECT


def test_the_kernel_tells_of_open_connections_only() -> None:
    service = FakeDaemon().add("echo")
    service.kernel_view = {"rtt": 1}
    service.clients_waiting = 3
    connection = service.open()
    assert service.waiting(service.listener) == 3
    assert service.tcp_info(connection.id) == {"rtt": 1}
    service.close(connection)
    assert service.tcp_info(connection.id) is None


def test_a_stop_drains_and_a_start_listens_again() -> None:
    daemon = FakeDaemon()
    service = daemon.add("echo")
    connection = service.open()
    service.finish = Deferred()
    stopped: list[None] = []
    daemon.stop("echo").addCallback(stopped.append)
    assert not stopped
    service.finish.callback(None)
    assert stopped == [None]
    assert connection.reason is EndReason.STOP
    daemon.start("echo")
    assert service.record.state is State.LISTENING


def test_a_port_that_cannot_be_had_fails_the_service() -> None:
    daemon = FakeDaemon()
    service = daemon.add("echo")
    daemon.stop("echo")
    service.unbindable = BindError([])
    with pytest.raises(BindError):
        daemon.start("echo")
    assert service.record.state is State.FAILED


def test_a_datagram_service_has_no_backlog() -> None:
    assert FakeDaemon().add("udp", "udp", "udp").listener.backlog is None
