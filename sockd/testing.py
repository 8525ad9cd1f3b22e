"""Fakes for tests of plugins and views: a daemon and services without sockets.

They use a real :class:`~sockd.model.ledger.Ledger`, whose clock a test advances.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from sockd.errors import BindError, SockdError
from sockd.interfaces import ICapture, IDaemon, INetworkService
from sockd.model.address import Address
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, State
from sockd.reload.plan import Plan
from sockd.support.service import TypedService

STARTED = 1_700_000_000.0
"""The initial time of the fake clock, in seconds since the epoch: 2023-11-14T22:13:20Z."""


@implementer(INetworkService)
class FakeService(TypedService):
    """A service without sockets. A test opens and closes its connections in the ledger.

    :ivar clients_waiting: the result of :meth:`waiting`.
    :ivar kernel_view: the result of :meth:`tcp_info` for open connections.
    :ivar unbindable: if set, :meth:`privilegedStartService` raises it.
    :ivar finish: if set, the drain of :meth:`stopService` waits for it.
    """

    def __init__(
        self, name: str, ledger: Ledger, kind: str = "multi", transport: str = "tcp"
    ) -> None:
        self.name = name
        self._ledger = ledger
        self.record = ledger.add_service(name, kind, "echo")
        backlog = None if transport == "udp" else 50
        self.listener = Listener(transport, Address("127.0.0.1", 65432), backlog)
        self.clients_waiting: int | None = None
        self.kernel_view: Mapping[str, object] | None = None
        self.unbindable: BindError | None = None
        self.finish: Deferred[None] | None = None
        self._next_port = 50001

    def privilegedStartService(self) -> None:
        """Record in the ledger that the service listens, or raise :attr:`unbindable`."""
        if self.unbindable is not None:
            self._ledger.unbound(self.record, State.FAILED)
            raise self.unbindable
        self._ledger.bound(self.record, (self.listener,))

    def startService(self) -> None:
        """Start the service; record that it listens unless that was done."""
        if not self.record.listeners:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Stop listening; close open connections when :attr:`finish` has fired."""
        self.end()
        self._ledger.unbound(self.record)
        drained = succeed(None) if self.finish is None else self.finish
        return drained.addCallback(lambda _: self._close_all())

    def waiting(self, listener: Listener) -> int | None:
        """Return :attr:`clients_waiting`."""
        return self.clients_waiting

    def disconnect(self, connection: int) -> bool:
        """Close a connection in the ledger."""
        found = self.record.connections.get(connection)
        if found is not None:
            self.close(found, EndReason.DISCONNECT)
        return found is not None

    def hurry(self) -> None:
        """Fire :attr:`finish` if it is set and has not fired."""
        if self.finish is not None and not self.finish.called:
            self.finish.callback(None)

    def tcp_info(self, connection: int) -> Mapping[str, object] | None:
        """Return :attr:`kernel_view` for open connections."""
        return self.kernel_view if connection in self.record.connections else None

    def open(
        self, host: str = "127.0.0.1", port: int | None = None, via: Address | None = None
    ) -> Connection:
        """Open a connection and return its record.

        :param port: the peer's port; ``None``: the next one, counted from 50001.
        :param via: the load balancer that relays it, or ``None``.
        """
        if port is None:
            port, self._next_port = self._next_port, self._next_port + 1
        peer = Address(host, port)
        return self._ledger.open(self.record, self.listener, self.listener.address, peer, via)

    def close(self, connection: Connection, reason: EndReason = EndReason.EOF) -> None:
        """Close a connection."""
        self._ledger.close(connection, reason)

    def refuse(self, host: str = "127.0.0.1", port: int = 50000) -> None:
        """Refuse a client."""
        self._ledger.refuse(self.record, self.listener, Address(host, port), RefusalReason.FULL)

    def _close_all(self) -> None:
        for connection in list(self.record.connections.values()):
            self.close(connection, EndReason.STOP)


@implementer(IDaemon)
class FakeDaemon:
    """A daemon of fake services.

    :ivar clock: the clock of the ledger.
    :ivar plan: the result of :meth:`reload`.
    :ivar unreadable: if set, :meth:`reload` fails with it.
    """

    def __init__(self, history: int = 1000) -> None:
        self.name = "lab"
        self.started = STARTED
        self.reactor_name = "fake"
        self.draining = False
        self.capture: ICapture | None = None
        self.clock = Clock()
        self.clock.advance(STARTED)
        self.ledger = Ledger(self.clock.seconds, history)
        self.services: dict[str, FakeService] = {}
        self.plan = Plan()
        self.unreadable: SockdError | None = None

    def add(self, name: str, kind: str = "multi", transport: str = "tcp") -> FakeService:
        """Add a service and start it."""
        service = self.services[name] = FakeService(name, self.ledger, kind, transport)
        service.startService()
        return service

    def disconnect(self, connection: int) -> bool:
        """Close an open connection by its number; return whether there was one."""
        return any(service.disconnect(connection) for service in self.services.values())

    def tcp_info(self, connection: Connection) -> Mapping[str, object] | None:
        """Return the kernel's view of a connection from its service, if that exists."""
        service = self.services.get(connection.service.name)
        return None if service is None else service.tcp_info(connection.id)

    def stop(self, name: str) -> Deferred[None]:
        """Stop a service; return a Deferred that fires when its connections are closed."""
        return self.services[name].stopService()

    def start(self, name: str) -> None:
        """Start a stopped service again."""
        self.services[name].startService()

    def reload(self) -> Deferred[Plan]:
        """Return a Deferred that fires with :attr:`plan` or fails with :attr:`unreadable`."""
        return fail(self.unreadable) if self.unreadable is not None else succeed(self.plan)
