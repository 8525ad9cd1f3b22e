"""The bound sockets that no service holds: on their way from one to another during a reload.

A listening socket that was closed and opened again would reset the clients in its queue. So it
stays open while it changes hands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Generic, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sockd.config.endpoint import Endpoint

BATCH = 8
"""How many sockets are closed in one turn of the reactor; Twisted logs each."""


class SpareSocket(Protocol):
    """A bound socket, whatever it carries."""

    @property
    def endpoint(self) -> Endpoint:
        """What it was made from."""

    def close(self) -> Deferred[None] | None:
        """Give its address back; where that takes time, return what fires when it is done."""


S = TypeVar("S", bound=SpareSocket)


class Pool(Generic[S]):
    """Sockets that can be had by what they are bound to; iterating gives those that are left."""

    def __init__(self, sockets: Iterable[S] = ()) -> None:
        self._sockets: dict[tuple[str, ...], deque[S]] = {}
        for one in sockets:
            self.put(one)

    def __iter__(self) -> Iterator[S]:
        """Return an iterator over the sockets."""
        return (one for group in self._sockets.values() for one in group)

    def put(self, spare: S) -> None:
        """Add a socket."""
        self._sockets.setdefault(spare.endpoint.identity, deque()).append(spare)

    def take(self, endpoint: Endpoint) -> S | None:
        """Remove and return the first socket that an endpoint asks for, if there is one."""
        group = self._sockets.get(endpoint.identity)
        return group.popleft() if group else None


class SpareSockets:
    """Holds sockets in between. While no reload is under way there are none."""

    def __init__(self) -> None:
        self._pools: dict[type[SpareSocket], Pool[SpareSocket]] = {}

    def put(self, spare: SpareSocket) -> None:
        """Take a socket in."""
        self._pools.setdefault(type(spare), Pool()).put(spare)

    def take(self, endpoint: Endpoint, sort: type[S]) -> S | None:
        """Return a socket of some sort that an endpoint asks for, ``None`` if there is none."""
        pool = self._pools.get(sort)
        return None if pool is None else cast("S | None", pool.take(endpoint))

    async def close(self, reactor: IReactorTime) -> None:
        """Close what nobody took, :data:`BATCH` in one turn of the reactor."""
        pools, self._pools = self._pools, {}
        spares = chain.from_iterable(pools.values())
        while batch := list(islice(spares, BATCH)):
            await gatherResults([maybeDeferred(spare.close) for spare in batch])
            await deferLater(reactor, 0)
