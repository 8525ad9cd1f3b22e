"""Who is connected and what has passed: the one account that every view reads.

Services enter what happens, everything else reads. A snapshot is made when someone asks. Times are
seconds since the epoch and come from the clock that the ledger was given.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from sockd.model.address import Address
from sockd.model.events import Event, EventType
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, ServiceRecord, State

T = TypeVar("T")

Clock = Callable[[], float]
Observer = Callable[[Event], None]
StateObserver = Callable[[ServiceRecord], None]
Failed = Callable[[Exception], object]


def _surface(error: Exception) -> None:
    raise error


class Ledger:
    """The account of all services.

    :param clock: returns the time in seconds since the epoch.
    :param history: how many closed connections are remembered, over all services.
    :param failed: called with what an observer raises; the service and the other observers go on,
        unless this raises in its turn, as it does by default.
    """

    def __init__(self, clock: Clock, history: int = 1000, failed: Failed = _surface) -> None:
        self._clock = clock
        self._failed = failed
        self._history: deque[Connection] = deque()
        self._history_limit = history
        self._by_id: dict[int, Connection] = {}
        self._last_id = 0
        self._observers: tuple[Observer, ...] = ()
        self._state_observers: tuple[StateObserver, ...] = ()
        self.services: dict[str, ServiceRecord] = {}
        self._former: set[str] = set()

    def add_service(self, name: str, kind: str, reply: str) -> ServiceRecord:
        """Begin a service's account, or go on with the one that there is under its name."""
        return self.services.setdefault(name, ServiceRecord(name, kind, reply))

    def remove_service(self, service: ServiceRecord) -> None:
        """End the account of a service that has never served."""
        del self.services[service.name]

    def forget(self, service: ServiceRecord) -> None:
        """End the account of a service that is gone; its closed connections are remembered."""
        self.remove_service(service)
        self._former.add(service.name)

    @property
    def names(self) -> set[str]:
        """Those of all services that there are, and that there were."""
        return self._former.union(self.services)

    def set_history_limit(self, history: int) -> None:
        """Remember so many closed connections from now on."""
        self._history_limit = history
        self._trim()

    def bound(
        self,
        service: ServiceRecord,
        listeners: tuple[Listener, ...],
        known: Collection[Listener] = (),
    ) -> None:
        """Enter that a service listens.

        :param known: the listeners that were bound already, by this service or by another.
        """
        service.listeners = listeners
        self.set_state(service, State.LISTENING)
        now = self._clock()
        known = frozenset(known)
        for listener in listeners:
            if listener in known:
                continue
            self._tell(Event(EventType.BIND, now, service, listener))
            if listener.backlog is not None:
                self._tell(Event(EventType.LISTEN, now, service, listener))

    def unbound(self, service: ServiceRecord, state: State = State.STOPPED) -> None:
        """Enter that a service listens no more; open connections may still finish."""
        service.listeners = ()
        self.set_state(service, state)

    def set_state(self, service: ServiceRecord, state: State) -> None:
        """Enter the state of a service, and tell who observes states."""
        service.state = state
        for observer in self._state_observers:
            self._call(observer, service)

    def open(
        self,
        service: ServiceRecord,
        listener: Listener,
        local: Address,
        peer: Address,
        via: Address | None = None,
    ) -> Connection:
        """Enter an accepted connection, or the first datagram of a flow."""
        self._last_id += 1
        now = self._clock()
        connection = Connection(self._last_id, service, listener, local, peer, now, via)
        self._by_id[connection.id] = connection
        service.connections[connection.id] = connection
        service.opened += 1
        self._tell(Event(EventType.ACCEPT, now, service, listener, connection))
        return connection

    def close(self, connection: Connection, reason: EndReason) -> None:
        """Enter that a connection ended; it is remembered until the history is full."""
        service = connection.service
        now = connection.closed = self._clock()
        connection.reason = reason
        del service.connections[connection.id]
        service.closed += 1
        service.ends[reason] = service.ends.get(reason, 0) + 1
        if reason is EndReason.ERROR:
            service.errors += 1
        self._history.append(connection)
        self._trim()
        self._tell(
            Event(EventType.CLOSE, now, service, connection.listener, connection, None, reason)
        )

    def refuse(
        self, service: ServiceRecord, listener: Listener, peer: Address, reason: RefusalReason
    ) -> None:
        """Enter that a client was turned away."""
        service.turned_away(reason)
        now = self._clock()
        self._tell(Event(EventType.REFUSE, now, service, listener, None, peer, reason))

    def find(self, number: int) -> Connection | None:
        """Return a connection that is open or still remembered."""
        return self._by_id.get(number)

    def open_connections(self, after: int = 0) -> Iterator[Connection]:
        """Return those that are open now and have a greater number than this, oldest first.

        One that is closed before the caller gets to it may still come.
        """
        return self._present(
            chain.from_iterable(s.connections for s in self.services.values()), after
        )

    def all_connections(self, after: int = 0) -> Iterator[Connection]:
        """Return those that are open or remembered now, as :meth:`open_connections` does."""
        return self._present(self._by_id, after)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call an observer with every event from now on; return what ends that."""
        self._observers += (observer,)

        def unsubscribe() -> None:
            self._observers = tuple(o for o in self._observers if o is not observer)

        return unsubscribe

    def subscribe_states(self, observer: StateObserver) -> Callable[[], None]:
        """Call an observer when the state or the listeners of a service have changed.

        :return: a function that ends that.
        """
        self._state_observers += (observer,)

        def unsubscribe() -> None:
            self._state_observers = tuple(o for o in self._state_observers if o is not observer)

        return unsubscribe

    def _present(self, numbers: Iterable[int], after: int) -> Iterator[Connection]:
        """Look connections up one by one, as the caller gets to them; skip the forgotten."""
        ordered = sorted(numbers)
        wanted = islice(ordered, bisect_right(ordered, after), None)
        find = self._by_id.get
        return (found for number in wanted if (found := find(number)) is not None)

    def _trim(self) -> None:
        while len(self._history) > self._history_limit:
            del self._by_id[self._history.popleft().id]

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            self._call(observer, event)

    def _call(self, observer: Callable[[T], None], news: T) -> None:
        try:
            observer(news)
        except Exception as error:  # an observer must not keep a service from serving
            self._failed(error)
