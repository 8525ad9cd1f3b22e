"""Collisions in a large set of endpoints. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from sockd.config.endpoint import Endpoint


class Occupied:
    """A set of endpoints with a fast search for collisions.

    The result is that of :meth:`Endpoint.collides_with` for each of them.
    """

    def __init__(self, endpoints: Iterable[Endpoint] = ()) -> None:
        self._spots: dict[Hashable, dict[Hashable, Endpoint]] = {}
        for endpoint in endpoints:
            self.add(endpoint)

    def add(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        if endpoint.spot is not None:
            self._spots.setdefault(endpoint.spot, {}).setdefault(endpoint.address, endpoint)

    def find(self, endpoint: Endpoint) -> Endpoint | None:
        """Return the first endpoint that this one collides with, or ``None``."""
        neighbours = self._spots.get(endpoint.spot, {})
        if endpoint.address is None:
            return next(iter(neighbours.values()), None)
        return neighbours.get(endpoint.address) or neighbours.get(None)
