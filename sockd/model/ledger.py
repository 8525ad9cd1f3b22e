"""The ledger: the records of all services and connections.

Services write to it; everything else reads it or subscribes to its events. Times are in seconds
since the epoch and come from the ledger's clock.
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
    """The records of all services and connections.

    :param clock: returns the time in seconds since the epoch.
    :param history: the number of closed connections to keep, over all services.
    :param failed: called with an exception of an observer. The service and the other observers are
        not affected unless this function raises too, as the default does.
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
        """Add a service and return its record; return the existing record of this name, if any."""
        return self.services.setdefault(name, ServiceRecord(name, kind, reply))

    def remove_service(self, service: ServiceRecord) -> None:
        """Remove a service that has never had connections."""
        del self.services[service.name]

    def forget(self, service: ServiceRecord) -> None:
        """Remove a service; its closed connections stay in the history."""
        self.remove_service(service)
        self._former.add(service.name)

    @property
    def names(self) -> set[str]:
        """The names of all current and former services."""
        return self._former.union(self.services)

    def set_history_limit(self, history: int) -> None:
        """Set the number of closed connections to keep."""
        self._history_limit = history
        self._trim()

    def bound(
        self,
        service: ServiceRecord,
        listeners: tuple[Listener, ...],
        known: Collection[Listener] = (),
    ) -> None:
        """Record that a service listens.

        :param known: the listeners that were bound before; they cause no events.
        """
        service.listeners = listeners
        self.set_state(service, State.LISTENING)
        now = self._clock()
        known = frozenset(known)
        for listener in listeners:
            if listener in known:
                continue
            self._notify(Event(EventType.BIND, now, service, listener))
            if listener.backlog is not None:
                self._notify(Event(EventType.LISTEN, now, service, listener))

    def unbound(self, service: ServiceRecord, state: State = State.STOPPED) -> None:
        """Record that a service no longer listens; open connections may still finish."""
        service.listeners = ()
        self.set_state(service, state)

    def set_state(self, service: ServiceRecord, state: State) -> None:
        """Record the state of a service and call the state observers."""
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
        """Record an accepted connection or a new flow; return its record."""
        self._last_id += 1
        now = self._clock()
        connection = Connection(self._last_id, service, listener, local, peer, now, via)
        self._by_id[connection.id] = connection
        service.connections[connection.id] = connection
        service.opened += 1
        self._notify(Event(EventType.ACCEPT, now, service, listener, connection))
        return connection

    def close(self, connection: Connection, reason: EndReason) -> None:
        """Record the end of a connection and move it to the history."""
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
        self._notify(
            Event(EventType.CLOSE, now, service, connection.listener, connection, None, reason)
        )

    def refuse(
        self, service: ServiceRecord, listener: Listener, peer: Address, reason: RefusalReason
    ) -> None:
        """Record a refused client."""
        service.count_refusal(reason)
        now = self._clock()
        self._notify(Event(EventType.REFUSE, now, service, listener, None, peer, reason))

    def find(self, number: int) -> Connection | None:
        """Return an open connection, or one from the history; ``None`` if there is none."""
        return self._by_id.get(number)

    def open_connections(self, after: int = 0) -> Iterator[Connection]:
        """Return the open connections whose number is greater than ``after``, oldest first.

        A connection that is closed during the iteration may still be returned.
        """
        return self._present(
            chain.from_iterable(s.connections for s in self.services.values()), after
        )

    def all_connections(self, after: int = 0) -> Iterator[Connection]:
        """Return open connections and the history, as :meth:`open_connections` does."""
        return self._present(self._by_id, after)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call an observer with every event from now on; return a function that ends that."""
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
        """Look up connections lazily; skip those that have left the history."""
        ordered = sorted(numbers)
        wanted = islice(ordered, bisect_right(ordered, after), None)
        find = self._by_id.get
        return (found for number in wanted if (found := find(number)) is not None)

    def _trim(self) -> None:
        while len(self._history) > self._history_limit:
            del self._by_id[self._history.popleft().id]

    def _notify(self, event: Event) -> None:
        for observer in self._observers:
            self._call(observer, event)

    def _call(self, observer: Callable[[T], None], argument: T) -> None:
        try:
            observer(argument)
        except Exception as error:  # a failing observer must not affect the service
            self._failed(error)
