"""Samples the counters of the services, and finds the connections that have traffic. Pure.

Traffic causes no event, so open connections are polled, a bounded number at a time: every second
the new ones and those with recent traffic, and a part of the others in turn.
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
"""The time between two samples, in seconds."""

POLLED_IN_TURN = 400
"""How many of the other connections are polled in each round."""

NEWEST = 20
"""How many of the newest connections of each service are polled in each round."""

MOST_BUSY = 200
"""How many connections with recent traffic are polled in each round."""

BUSY_TIME = 10.0
"""How long a connection without traffic stays one with recent traffic, in seconds."""

_FIGURES = ("active", "opened", "closed", "refused", "bytes_in", "bytes_out")


class StatsSampler:
    """The last sample, encoded once for all subscribers.

    :ivar version: incremented whenever the sample changes; 0 before the first one.
    :ivar data: the sample as JSON.
    """

    def __init__(self, daemon: IDaemon) -> None:
        self._daemon = daemon
        self._traffic = Traffic()
        self._sample: JsonObject = {}
        self._due = 0.0
        self.version = 0
        self.data = b""

    def renew(self, now: float) -> None:
        """Take a sample if it is time to; an unchanged sample keeps its version."""
        if now < self._due:
            return
        self._due = max(self._due + SAMPLE_INTERVAL, now)
        services = self._daemon.services.values()
        open_ones = [service.record.connections.values() for service in services]
        sample = {**totals(self._daemon), "connections": self._traffic.round(open_ones, now)}
        if sample != self._sample:
            self._sample = sample
            self.version += 1
            self.data = encoded({"time": rfc3339(now), **sample})


class Traffic:
    """Polls the open connections, round by round, for traffic."""

    def __init__(self) -> None:
        self._place = 0
        self._lap = self._lap_before = self._before = 0.0
        self._busy: list[Connection] = []

    def round(
        self, connections: Collection[Reversible[Connection]], now: float
    ) -> list[JsonObject]:
        """Return the counters of connections that had traffic since they were last polled.

        :param connections: all open connections, by service, the oldest of each first.
        """
        newest = chain.from_iterable(islice(reversed(each), NEWEST) for each in connections)
        watched = (one for one in chain(self._busy, newest) if one.closed is None)
        fresh = (one for one in watched if one.reads and one.last_activity >= self._before)
        active = {one.id: one for one in chain(fresh, self._in_turn(connections, now))}
        self._before = now
        known = active | {one.id: one for one in self._busy}
        lately = (one for one in known.values() if one.last_activity >= now - BUSY_TIME)
        self._busy = list(islice(lately, MOST_BUSY))
        return [_figures(one) for one in active.values()]

    def _in_turn(
        self, connections: Collection[Reversible[Connection]], now: float
    ) -> list[Connection]:
        """Return those of the next connections that had traffic since their last turn."""
        end = self._place + POLLED_IN_TURN
        seen = list(islice(chain.from_iterable(connections), self._place, end))
        if self._place == 0:
            self._lap_before, self._lap = self._lap, now
        since = self._lap_before
        self._place = end if len(seen) == POLLED_IN_TURN else 0
        return [one for one in seen if one.reads and one.last_activity >= since]


def _figures(connection: Connection) -> JsonObject:
    return {
        "id": connection.id,
        "bytes_in": connection.bytes_in,
        "bytes_out": connection.bytes_out,
    }


def totals(daemon: IDaemon) -> JsonObject:
    """Return the states and counters of the services."""
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
