"""The stream listeners of one section: either all of them are bound, or none.

Services, the stats endpoint and the admin shell use this module.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from sockd.config.endpoint import Endpoint
from sockd.errors import BindError, InvalidValue, Problem
from sockd.model.records import Listener
from sockd.net.listening_port import FactoryMaker, ListeningPort, PortOwner
from sockd.net.server_endpoints import bind_problem, prepared, server_endpoint
from sockd.net.spare_sockets import Pool
from sockd.reactor import IReactor
from sockd.support.text import quoted


class Listeners:
    """The listening ports of one section.

    :param backlog: the backlog of endpoints that do not specify one.
    """

    def __init__(self, reactor: IReactor, endpoints: tuple[Endpoint, ...], backlog: int) -> None:
        self._reactor = reactor
        self._ports = tuple(ListeningPort(prepared(endpoint, backlog)) for endpoint in endpoints)
        self._turns = deque(self._ports)
        self._found: dict[Listener, ListeningPort] = {}
        self._binding: Deferred[None] | None = None
        self._closing: Deferred[None] = succeed(None)

    @property
    def is_open(self) -> bool:
        """Whether all ports are bound."""
        return all(port.is_bound for port in self._ports)

    @property
    def bound(self) -> tuple[Listener, ...]:
        """The listeners that are bound now."""
        return tuple(port.listener for port in self._ports if port.listener is not None)

    def open(
        self,
        make_factory: FactoryMaker,
        bound: Callable[[], None],
        failed: Callable[[BindError], None],
    ) -> None:
        """Bind all endpoints, or none; wait for sockets that are being closed.

        :param make_factory: returns the protocol factory of a port.
        :param bound: called when all endpoints are bound, usually before this method returns.
        :param failed: called if an endpoint fails later, when all others are closed.
        :raise BindError: if an endpoint fails before this method returns.
        """
        is_at_once = True
        errors: list[BindError] = []

        def lost(failure: Failure) -> None:
            if isinstance(failure.value, BindError):
                report = errors.append if is_at_once else failed
                report(failure.value)
            else:  # closed before everything was bound
                failure.trap(CancelledError)

        self._binding = Deferred.fromCoroutine(self._open(make_factory))
        self._binding.addCallback(lambda _: bound())
        self._binding.addErrback(lost)
        is_at_once = False
        if errors:
            raise errors[0]

    def give_up(self, kept: Iterable[Endpoint]) -> list[ListeningPort]:
        """Remove and return the bound ports except those of ``kept``."""
        wanted = Counter(endpoint.identity for endpoint in kept)
        given_up: list[ListeningPort] = []
        rest: list[ListeningPort] = []
        for port in self._ports:
            identity = port.endpoint.identity
            if wanted[identity]:
                wanted[identity] -= 1
                rest.append(port)
            else:
                (rest if not port.is_bound else given_up).append(port)
        if given_up:
            self._set_ports(rest)
        return given_up

    def change(
        self,
        endpoints: tuple[Endpoint, ...],
        backlog: int,
        find: Callable[[Endpoint], ListeningPort | None],
        owner: PortOwner,
    ) -> tuple[Listener, ...]:
        """Replace the endpoints; :meth:`open` then binds those that are not bound.

        :param find: returns a bound port for an endpoint that none of the own ports matches.
        :return: the listeners that were bound and had an owner before.
        """
        own = Pool(port for port in self._ports if port.is_bound)
        ports = []
        for endpoint in (prepared(endpoint, backlog) for endpoint in endpoints):
            port = own.take(endpoint) or find(endpoint) or ListeningPort(endpoint)
            port.set_endpoint(endpoint)
            ports.append(port)
        known = tuple(port.listener for port in ports if port.owner and port.listener)
        for port in ports:
            port.owner = owner
        self._set_ports(ports)
        return known

    def renew(self, endpoints: Iterable[Endpoint], backlog: int) -> None:
        """Apply the certificates and backlogs of new endpoints for the same sockets."""
        for port, endpoint in zip(self._ports, endpoints, strict=True):
            port.set_endpoint(prepared(endpoint, backlog))

    def close(self) -> Deferred[None]:
        """Stop listening; return a Deferred that fires when the sockets are closed."""
        if self._binding is not None:
            self._binding.cancel()
        self._close_ports()
        return self._closed()

    def waiting(self, listener: Listener) -> int | None:
        """Return the number of clients in a listener's accept queue."""
        port = self._found.get(listener)
        if port is None or port.listener != listener:
            self._found = {port.listener: port for port in self._ports if port.listener}
            port = self._found.get(listener)
        return None if port is None else port.waiting()

    def pause_accepting(self) -> None:
        """Leave new clients in the accept queues."""
        for port in self._ports:
            port.pause_accepting()

    def resume_accepting(self, room: int) -> None:
        """Accept up to ``room`` clients per port in a reactor turn.

        The ports rotate: the first one in the order has the best chance.
        """
        self._turns.rotate()
        for port in self._turns:
            port.resume_accepting(room)

    def _set_ports(self, ports: Iterable[ListeningPort]) -> None:
        self._ports = tuple(ports)
        self._turns = deque(self._ports)

    async def _open(self, make_factory: FactoryMaker) -> None:
        await self._closed()
        problems: list[Problem] = []
        for port in self._ports:
            if port.is_bound:
                continue
            try:
                endpoint = server_endpoint(self._reactor, port.endpoint)
                port.bound(await endpoint.listen(make_factory(port)))
            except InvalidValue as invalid:
                problems.append(invalid.at(port.endpoint.location))
            except (OSError, CannotListenError) as error:
                problems.append(bind_problem(port.endpoint, error))
        if problems:
            self._close_ports()
            raise BindError(problems)

    def _close_ports(self) -> None:
        closing = gatherResults([self._closed(), *(port.close() for port in self._ports)])
        self._closing = closing.addCallback(lambda _: None)

    def _closed(self) -> Deferred[None]:
        """Return a Deferred that fires when no socket is being closed; it may be cancelled."""
        waiter: Deferred[None] = Deferred()
        self._closing.addCallback(waiter.callback)
        return waiter


def bound_port(
    reactor: IReactor, endpoint: Endpoint, backlog: int, make_factory: FactoryMaker
) -> ListeningPort:
    """Bind an endpoint without accepting clients yet.

    :raise BindError: if it cannot be bound, or not synchronously.
    """
    listeners = Listeners(reactor, (endpoint,), backlog)
    listeners.open(make_factory, lambda: None, lambda _: None)
    if not listeners.is_open:
        listeners.close()
        message = f"{quoted(endpoint.text)[1:-1]} cannot be bound immediately"
        raise BindError([Problem(endpoint.location, message, "restart the daemon to bind it")])
    (port,) = listeners.give_up(())
    port.pause_accepting()
    return port
