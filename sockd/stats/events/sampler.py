"""The figures of the services for those who watch, and which connections have traffic. Pure.

Nothing tells of traffic, so the open connections are looked at, a bounded number at a time: each
second those that are new or had traffic lately, and some of the others in turn.
"""

from __future__ import annotations

from collections.abc import Collection, Reversible
from itertools import chain, islice
from typing import TYPE_CHECKING

from sockd.render.json_views import JsonObject
from sockd.stats.http.answers import encoded
from sockd.support.text import rfc3339

if TYPE_CHECKING:
    from sockd.interfaces import IDaemon, INetworkService
    from sockd.model.records import Connection

SAMPLE_INTERVAL = 1.0
"""How far apart the figures are, in seconds."""

LOOKED_AT = 400
"""How many connections are looked at in turn in one round."""

NEWEST = 20
"""How many of the newest connections of each service are looked at in every round."""

MOST_BUSY = 200
"""How many of those that had traffic lately are looked at in every round."""

LATELY = 10.0
"""How long a connection stays one of them without traffic, in seconds."""

_FIGURES = ("active", "opened", "closed", "refused", "bytes_in", "bytes_out")


class StatsSampler:
    """The figures as they were last told, encoded once for all readers.

    :ivar version: counts up whenever they have changed; 0 before there are any.
    """

    def __init__(self, daemon: IDaemon) -> None:
        self._daemon = daemon
        self._traffic = Traffic()
        self._told: JsonObject = {}
        self._due = 0.0
        self.version = 0
        self.data = b""

    def renew(self, now: float) -> None:
        """Look again, if it is time to; what is the same as before is not told again."""
        if now < self._due:
            return
        self._due = max(self._due + SAMPLE_INTERVAL, now)
        services = self._daemon.services.values()
        open_ones = [service.record.connections.values() for service in services]
        told = {**totals(self._daemon), "connections": self._traffic.round(open_ones, now)}
        if told != self._told:
            self._told = told
            self.version += 1
            self.data = encoded({"time": rfc3339(now), **told})


class Traffic:
    """Goes through the open connections, round by round, for those that have had traffic."""

    def __init__(self) -> None:
        self._place = 0
        self._lap = self._lap_before = self._before = 0.0
        self._busy: list[Connection] = []

    def round(
        self, connections: Collection[Reversible[Connection]], now: float
    ) -> list[JsonObject]:
        """Return the figures of connections that were active since the last time they were seen.

        :param connections: all that are open, by service, the oldest of each first.
        """
        newest = chain.from_iterable(islice(reversed(each), NEWEST) for each in connections)
        watched = (one for one in chain(self._busy, newest) if one.closed is None)
        fresh = (one for one in watched if one.reads and one.last_activity >= self._before)
        active = {one.id: one for one in chain(fresh, self._in_turn(connections, now))}
        self._before = now
        known = active | {one.id: one for one in self._busy}
        lately = (one for one in known.values() if one.last_activity >= now - LATELY)
        self._busy = list(islice(lately, MOST_BUSY))
        return [_figures(one) for one in active.values()]

    def _in_turn(
        self, connections: Collection[Reversible[Connection]], now: float
    ) -> list[Connection]:
        """Return those of the next connections that were active since it was their turn."""
        end = self._place + LOOKED_AT
        seen = list(islice(chain.from_iterable(connections), self._place, end))
        if self._place == 0:
            self._lap_before, self._lap = self._lap, now
        since = self._lap_before
        self._place = end if len(seen) == LOOKED_AT else 0
        return [one for one in seen if one.reads and one.last_activity >= since]


def _figures(connection: Connection) -> JsonObject:
    return {
        "id": connection.id,
        "bytes_in": connection.bytes_in,
        "bytes_out": connection.bytes_out,
    }


def totals(daemon: IDaemon) -> JsonObject:
    """Return where the services are and what has passed."""
    return {
        "draining": daemon.draining,
        "services": [_service_figures(service) for service in daemon.services.values()],
    }


def _service_figures(service: INetworkService) -> JsonObject:
    record = service.record
    queues = [service.waiting(listener) for listener in record.listeners]
    known = [length for length in queues if length is not None]
    return {
        "name": record.name,
        "state": record.state.value,
        "ports": [listener.address.port for listener in record.listeners],
        "waiting": sum(known) if known else None,
        **{name: getattr(record, name) for name in _FIGURES},
    }
