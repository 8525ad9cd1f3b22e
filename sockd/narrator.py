"""Tells the life of every socket in the log, in the words of the socket interface.

It only reads the ledger's events; a service never knows that somebody listens.
"""

from __future__ import annotations

from twisted.logger import Logger

from sockd.ledger import Event, Word


class Narrator:
    """Writes a line for each event of a ledger: ``ledger.subscribe(Narrator().tell)``."""

    _log = Logger()

    def tell(self, event: Event) -> None:
        """Write the line of an event."""
        match event.word:
            case Word.BIND:
                self._log.info(
                    "Bind {transport} {address} ({service})",
                    transport=event.listener.transport,
                    address=event.listener.address,
                    service=event.service.name,
                )
            case Word.LISTEN:
                self._log.info(
                    "Listen on {address}, backlog {backlog} ({service})",
                    address=event.listener.address,
                    backlog=event.listener.backlog,
                    service=event.service.name,
                )
            case Word.ACCEPT:
                self._accept(event)
            case Word.REFUSE:
                self._log.info(
                    "Refused {peer} on {address}: {reason} ({service})",
                    peer=event.peer,
                    address=event.listener.address,
                    reason=event.reason,
                    service=event.service.name,
                )
            case Word.CLOSE:
                self._close(event)

    def _accept(self, event: Event) -> None:
        connection = event.connection
        if connection is None:
            return
        is_udp = connection.listener.transport == "udp"
        words = "First datagram from" if is_udp else "Connected by"
        self._log.info(
            "{words} {peer} on {local} ({service} #{number})",
            words=words,
            peer=connection.peer,
            local=connection.local,
            service=event.service.name,
            number=connection.id,
        )

    def _close(self, event: Event) -> None:
        connection = event.connection
        if connection is None:
            return
        self._log.info(
            "Closed {peer} on {local}: {reason}, {bytes_in} bytes in, {bytes_out} out"
            " ({service} #{number})",
            peer=connection.peer,
            local=connection.local,
            reason=connection.reason,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
            service=event.service.name,
            number=connection.id,
        )
