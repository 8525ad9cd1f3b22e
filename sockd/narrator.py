"""Tells the life of every socket in the log, in the words of the socket interface.

It only reads the ledger's events; a service never knows that somebody listens. The first two
connections of a port have a line more: what stays the same, and what differs.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sockd.flood import Flood
from sockd.ledger import Connection, Event, Listener, Word
from sockd.views import PortRow

_LESSONS = 2
"""After how many connections of a port there is nothing new to say about it."""


class Narrator:
    """Writes a line for each event of a ledger: ``ledger.subscribe(Narrator(reactor).tell)``.

    In a flood not all are told one by one, see :mod:`sockd.flood`.
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
        match event:
            case Event(word=Word.BIND):
                self._bind(event)
            case Event(word=Word.LISTEN):
                self._listen(event)
            case Event(word=Word.ACCEPT, connection=Connection() as connection):
                self._accept(connection)
                self._teach(event, connection)
            case Event(word=Word.REFUSE):
                self._refuse(event)
            case Event(word=Word.CLOSE, connection=Connection() as connection):
                self._close(connection)

    def _bind(self, event: Event) -> None:
        name, listener = event.service.name, event.listener
        self._lessons[name, listener] = PortRow(name, listener)
        self._log.info(
            "Bind {transport} {address} ({service})",
            transport=listener.transport,
            address=listener.address,
            service=name,
        )

    def _listen(self, event: Event) -> None:
        self._log.info(
            "Listen on {address}, backlog {backlog} ({service})",
            address=event.listener.address,
            backlog=event.listener.backlog,
            service=event.service.name,
        )

    def _accept(self, connection: Connection) -> None:
        is_udp = connection.listener.transport == "udp"
        self._log.info(
            "{words} {peer} on {local} ({service} #{number})",
            words="First datagram from" if is_udp else "Connected by",
            peer=connection.peer,
            local=connection.local,
            service=connection.service.name,
            number=connection.id,
        )

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

    def _refuse(self, event: Event) -> None:
        self._log.info(
            "Refused {peer} on {address}: {reason} ({service})",
            peer=event.peer,
            address=event.listener.address,
            reason=event.reason,
            service=event.service.name,
        )

    def _close(self, connection: Connection) -> None:
        self._log.info(
            "Closed {peer} on {local}: {reason}, {bytes_in} bytes in, {bytes_out} out"
            " ({service} #{number})",
            peer=connection.peer,
            local=connection.local,
            reason=connection.reason,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
            service=connection.service.name,
            number=connection.id,
        )
