"""Bound sockets that pass from one service to another during a reload.

Closing and reopening a listening socket would reset the clients in its accept queue, so the socket
stays open.
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
    """A bound stream or datagram socket."""

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that it is bound to."""

    def close(self) -> Deferred[None] | None:
        """Close the socket; return ``None`` or a Deferred that fires when that is done."""


S = TypeVar("S", bound=SpareSocket)


class Pool(Generic[S]):
    """Sockets by the identity of their endpoints; it iterates over the sockets that are left."""

    def __init__(self, sockets: Iterable[S] = ()) -> None:
        self._sockets: dict[tuple[str, ...], deque[S]] = {}
        for one in sockets:
            self.put(one)

    def __iter__(self) -> Iterator[S]:
        """Iterate over the sockets."""
        return (one for group in self._sockets.values() for one in group)

    def put(self, spare: S) -> None:
        """Add a socket."""
        self._sockets.setdefault(spare.endpoint.identity, deque()).append(spare)

    def take(self, endpoint: Endpoint) -> S | None:
        """Remove and return a socket with the identity of an endpoint, or ``None``."""
        group = self._sockets.get(endpoint.identity)
        return group.popleft() if group else None


class SpareSockets:
    """The spare sockets of all services. There are none while no reload is in progress."""

    def __init__(self) -> None:
        self._pools: dict[type[SpareSocket], Pool[SpareSocket]] = {}

    def put(self, spare: SpareSocket) -> None:
        """Add a socket."""
        self._pools.setdefault(type(spare), Pool()).put(spare)

    def take(self, endpoint: Endpoint, sort: type[S]) -> S | None:
        """Remove and return a socket of a class for an endpoint, or ``None``."""
        pool = self._pools.get(sort)
        return None if pool is None else cast("S | None", pool.take(endpoint))

    async def close(self, reactor: IReactorTime) -> None:
        """Close the remaining sockets, :data:`BATCH` in one turn of the reactor."""
        pools, self._pools = self._pools, {}
        spares = chain.from_iterable(pools.values())
        while batch := list(islice(spares, BATCH)):
            await gatherResults([maybeDeferred(spare.close) for spare in batch])
            await deferLater(reactor, 0)
