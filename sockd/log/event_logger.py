"""Logs the events of the ledger, in the terms of the socket interface.

It only subscribes to the ledger; the services do not know of it. For the first two connections of
a listener a second line explains which port stays the same and which one differs.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from sockd.log.messages import message_of
from sockd.log.rate_limiter import LogRateLimiter
from sockd.model.events import Event, EventType
from sockd.model.records import Connection, Listener
from sockd.render.json_views import PortRow
from sockd.support.logger import PartLogger

_LESSONS = 2
"""For how many connections of a listener the ports are explained."""


class EventLogger:
    """Logs a line for each event of a ledger: ``ledger.subscribe(EventLogger(reactor).tell)``.

    The number of lines is limited, see :mod:`sockd.log.rate_limiter`.
    """

    _log = PartLogger("sockd")

    def __init__(self, clock: IReactorTime) -> None:
        self._limiter = LogRateLimiter(clock)
        self._lessons: dict[tuple[str, Listener], PortRow] = {}

    def tell(self, event: Event) -> None:
        """Log an event, unless the rate limit suppresses it."""
        if self._limiter.has_line(event):
            self._write(event)

    def _write(self, event: Event) -> None:
        words, fields = message_of(event)
        if event.type is EventType.BIND:
            name, listener = event.service.name, event.listener
            self._lessons[name, listener] = PortRow(name, listener)
        self._log.info(words, **fields)
        if event.type is EventType.ACCEPT and event.connection is not None:
            self._explain_ports(event, event.connection)

    def _explain_ports(self, event: Event, connection: Connection) -> None:
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
