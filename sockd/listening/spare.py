"""The bound sockets that no service holds: on their way from one to another during a reload.

A listening socket that was closed and opened again would reset the clients in its queue. So it
stays open while it changes hands.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from sockd.config.endpoint import Endpoint


class SpareSocket(Protocol):
    """A bound socket, whatever it carries."""

    @property
    def endpoint(self) -> Endpoint:
        """What it was made from."""

    def close(self) -> Deferred[None] | None:
        """Give its address back; where that takes time, return what fires when it is done."""


S = TypeVar("S", bound=SpareSocket)


def take(endpoint: Endpoint, sockets: list[S]) -> S | None:
    """Return, and take out, the first socket that an endpoint asks for."""
    for number, bound in enumerate(sockets):
        if bound.endpoint.identity == endpoint.identity:
            return sockets.pop(number)
    return None


class SpareSockets:
    """Holds sockets in between. While no reload is under way there are none."""

    def __init__(self) -> None:
        self._sockets: list[SpareSocket] = []

    def put(self, spare: SpareSocket) -> None:
        """Take a socket in."""
        self._sockets.append(spare)

    def take(self, endpoint: Endpoint, sort: type[S]) -> S | None:
        """Return a socket of some sort that an endpoint asks for, ``None`` if there is none."""
        found = take(endpoint, [spare for spare in self._sockets if isinstance(spare, sort)])
        if found is not None:
            self._sockets.remove(found)
        return found

    def close(self) -> Deferred[None]:
        """Close what nobody took; return what fires when that is done."""
        spares, self._sockets = self._sockets, []
        closing = gatherResults([maybeDeferred(spare.close) for spare in spares])
        return closing.addCallback(lambda _: None)
