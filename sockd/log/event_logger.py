"""Tells the life of every socket in the log, in the words of the socket interface.

It only reads the ledger's events; a service never knows that somebody listens. The first two
connections of a port have a line more: what stays the same, and what differs.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from sockd.log.messages import told
from sockd.log.rate_limiter import LogRateLimiter
from sockd.model.events import Event, EventType
from sockd.model.records import Connection, Listener
from sockd.render.json_views import PortRow
from sockd.support.logger import PartLogger

_LESSONS = 2
"""After how many connections of a port there is nothing new to say about it."""


class EventLogger:
    """Writes a line for each event of a ledger: ``ledger.subscribe(EventLogger(reactor).tell)``.

    In a flood not all are told one by one, see :mod:`sockd.log.rate_limiter`.
    """

    _log = PartLogger("sockd")

    def __init__(self, clock: IReactorTime) -> None:
        self._flood = LogRateLimiter(clock)
        self._lessons: dict[tuple[str, Listener], PortRow] = {}

    def tell(self, event: Event) -> None:
        """Write the line of an event, if it has one."""
        if self._flood.has_line(event):
            self._write(event)

    def _write(self, event: Event) -> None:
        words, fields = told(event)
        if event.type is EventType.BIND:
            name, listener = event.service.name, event.listener
            self._lessons[name, listener] = PortRow(name, listener)
        self._log.info(words, **fields)
        if event.type is EventType.ACCEPT and event.connection is not None:
            self._teach(event, event.connection)

    def _teach(self, event: Event, connection: Connection) -> None:
        key = event.service.name, event.listener
        row = self._lessons.get(key)
        if row is None:
            return
        row.add(connection)
        self._log.info(
            "Ports: {sentence} ({service})", sentence=row.sentence(), service=event.service.name
        )
        if row.connections == _LESSONS:
            del self._lessons[key]
