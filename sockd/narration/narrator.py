"""Tells the life of every socket in the log, in the words of the socket interface.

It only reads the ledger's events; a service never knows that somebody listens. The first two
connections of a port have a line more: what stays the same, and what differs.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sockd.narration.flood import Flood
from sockd.narration.telling import told
from sockd.records import Connection, Event, Listener, Word
from sockd.views import PortRow

_LESSONS = 2
"""After how many connections of a port there is nothing new to say about it."""


class Narrator:
    """Writes a line for each event of a ledger: ``ledger.subscribe(Narrator(reactor).tell)``.

    In a flood not all are told one by one, see :mod:`sockd.narration.flood`.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._flood = Flood(clock)
        self._lessons: dict[tuple[str, Listener], PortRow] = {}

    def tell(self, event: Event) -> None:
        """Write the line of an event, if it has one."""
        if self._flood.has_line(event):
            self._write(event)

    def _write(self, event: Event) -> None:
        words, fields = told(event)
        if event.word is Word.BIND:
            name, listener = event.service.name, event.listener
            self._lessons[name, listener] = PortRow(name, listener)
        self._log.info(words, **fields)
        if event.word is Word.ACCEPT and event.connection is not None:
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
