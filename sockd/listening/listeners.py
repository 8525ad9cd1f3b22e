"""Binds the stream endpoints of one section, all or none.

Services, the stats endpoint and the admin shell listen through this.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from sockd.config.endpoint import Endpoint
from sockd.errors import BindError, Problem, Unfit
from sockd.listening.door import Door, FactoryMaker, Tenant
from sockd.listening.endpoints import bind_problem, prepared, server_endpoint
from sockd.listening.spare import Pool
from sockd.reactor import IReactor
from sockd.records import Listener
from sockd.text import quoted


class Listeners:
    """The listening ports of one section.

    :param backlog: listen(2)'s queue, where an endpoint does not say.
    """

    def __init__(self, reactor: IReactor, endpoints: tuple[Endpoint, ...], backlog: int) -> None:
        self._reactor = reactor
        self._doors = tuple(Door(prepared(endpoint, backlog)) for endpoint in endpoints)
        self._turns = deque(self._doors)
        self._found: dict[Listener, Door] = {}
        self._binding: Deferred[None] | None = None
        self._closing: Deferred[None] = succeed(None)

    @property
    def is_open(self) -> bool:
        """Whether every one of them is bound."""
        return all(door.port is not None for door in self._doors)

    @property
    def bound(self) -> tuple[Listener, ...]:
        """The listeners that are bound now."""
        return tuple(door.listener for door in self._doors if door.listener is not None)

    def open(
        self,
        make_factory: FactoryMaker,
        bound: Callable[[], None],
        failed: Callable[[BindError], None],
    ) -> None:
        """Bind every endpoint, or none; where a close is under way, as soon as that is done.

        :param make_factory: returns what serves the clients that come through a door.
        :param bound: called when all of them are bound, which nearly always is at once.
        :param failed: called if one of them fails later; the others are closed by then.
        :raise BindError: if one of them fails at once.
        """
        is_at_once = True
        errors: list[BindError] = []

        def lost(failure: Failure) -> None:
            if isinstance(failure.value, BindError):
                tell = errors.append if is_at_once else failed
                tell(failure.value)
            else:  # closed before it was open
                failure.trap(CancelledError)

        self._binding = Deferred.fromCoroutine(self._open(make_factory))
        self._binding.addCallback(lambda _: bound())
        self._binding.addErrback(lost)
        is_at_once = False
        if errors:
            raise errors[0]

    def give_up(self, kept: Iterable[Endpoint]) -> list[Door]:
        """Return the bound doors that are not among these; they are not its own any more."""
        wanted = Counter(endpoint.identity for endpoint in kept)
        given_up: list[Door] = []
        rest: list[Door] = []
        for door in self._doors:
            identity = door.endpoint.identity
            if wanted[identity]:
                wanted[identity] -= 1
                rest.append(door)
            else:
                (rest if door.port is None else given_up).append(door)
        if given_up:
            self._have(rest)
        return given_up

    def change(
        self,
        endpoints: tuple[Endpoint, ...],
        backlog: int,
        find: Callable[[Endpoint], Door | None],
        tenant: Tenant,
    ) -> tuple[Listener, ...]:
        """Have other endpoints; :meth:`open` binds what is lacking.

        :param find: returns a bound door for an endpoint that none of its own fits.
        :return: the listeners that were bound, and had a tenant, before.
        """
        own = Pool(door for door in self._doors if door.port is not None)
        doors = []
        for endpoint in (prepared(endpoint, backlog) for endpoint in endpoints):
            door = own.take(endpoint) or find(endpoint) or Door(endpoint)
            door.become(endpoint)
            doors.append(door)
        known = tuple(door.listener for door in doors if door.tenant and door.listener)
        for door in doors:
            door.tenant = tenant
        self._have(doors)
        return known

    def renew(self, endpoints: Iterable[Endpoint], backlog: int) -> None:
        """Have the certificates and backlogs of other endpoints, which are the same sockets."""
        for door, endpoint in zip(self._doors, endpoints, strict=True):
            door.become(prepared(endpoint, backlog))

    def close(self) -> Deferred[None]:
        """Stop listening; return what fires when the sockets are closed."""
        if self._binding is not None:
            self._binding.cancel()
        self._close_doors()
        return self._closed()

    def waiting(self, listener: Listener) -> int | None:
        """Return how many clients wait in the kernel's queue for a listener."""
        door = self._found.get(listener)
        if door is None or door.listener != listener:
            self._found = {door.listener: door for door in self._doors if door.listener}
            door = self._found.get(listener)
        return None if door is None else door.waiting()

    def shut(self) -> None:
        """Leave new clients in the kernel's queues."""
        for door in self._doors:
            door.shut()

    def let_in(self, room: int) -> None:
        """Accept again, so many clients at most in one round of the reactor.

        Another door comes first each time, as it is the first that gets the room.
        """
        self._turns.rotate()
        for door in self._turns:
            door.let_in(room)

    def _have(self, doors: Iterable[Door]) -> None:
        self._doors = tuple(doors)
        self._turns = deque(self._doors)

    async def _open(self, make_factory: FactoryMaker) -> None:
        await self._closed()
        problems: list[Problem] = []
        for door in self._doors:
            if door.port is not None:
                continue
            try:
                endpoint = server_endpoint(self._reactor, door.endpoint)
                door.bound(await endpoint.listen(make_factory(door)))
            except Unfit as unfit:
                problems.append(unfit.at(door.endpoint.place))
            except (OSError, CannotListenError) as error:
                problems.append(bind_problem(door.endpoint, error))
        if problems:
            self._close_doors()
            raise BindError(problems)

    def _close_doors(self) -> None:
        closing = gatherResults([self._closed(), *(door.close() for door in self._doors)])
        self._closing = closing.addCallback(lambda _: None)

    def _closed(self) -> Deferred[None]:
        """Return what fires once no socket is being closed; to cancel it disturbs nothing."""
        waiter: Deferred[None] = Deferred()
        self._closing.addCallback(waiter.callback)
        return waiter


def bound_door(
    reactor: IReactor, endpoint: Endpoint, backlog: int, make_factory: FactoryMaker
) -> Door:
    """Bind an endpoint, and leave its clients in the kernel's queue.

    :raise BindError: if it cannot be bound, or not at once.
    """
    listeners = Listeners(reactor, (endpoint,), backlog)
    listeners.open(make_factory, lambda: None, lambda _: None)
    if not listeners.is_open:
        listeners.close()
        wrong = f"{quoted(endpoint.text)[1:-1]} takes its time to bind"
        raise BindError([Problem(endpoint.place, wrong, "restart the daemon to have it")])
    (door,) = listeners.give_up(())
    door.shut()
    return door
