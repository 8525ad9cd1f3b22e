"""The log message of each event, in the terms of the socket interface. Pure.

The log and the shell's ``watch()`` use the same messages: a format and its fields.
"""

from __future__ import annotations

from sockd.model.events import Event, EventType
from sockd.model.reasons import RefusalReason
from sockd.render.fields import client_text
from sockd.support.text import printable

_BIND = "Bind {transport} {address} ({service})"
_LISTEN = "Listen on {address}, backlog {backlog} ({service})"
_ACCEPT = "Connected by {client} on {local} ({service} #{number})"
_ACCEPT_UDP = "First datagram from {peer} on {local} ({service} #{number})"
_REFUSE = "Refused {peer} on {address}: {reason} ({service})"
_CLOSE = (
    "Closed {peer} on {local}: {reason}, {bytes_in} bytes in, {bytes_out} out ({service} #{number})"
)
_FORMATS = {
    EventType.BIND: _BIND,
    EventType.LISTEN: _LISTEN,
    EventType.ACCEPT: _ACCEPT,
    EventType.REFUSE: _REFUSE,
    EventType.CLOSE: _CLOSE,
}


def message_of(event: Event) -> tuple[str, dict[str, object]]:
    """Return the format of an event's message, and its fields."""
    listener = event.listener
    fields: dict[str, object] = {
        "service": event.service.name,
        "transport": listener.transport,
        "address": listener.address,
        "backlog": listener.backlog,
        "peer": event.peer,
        "reason": event.reason,
    }
    if isinstance(event.reason, RefusalReason):
        fields["reason"] = event.service.terms.get(event.reason, event.reason)
    connection = event.connection
    if connection is not None:
        fields |= {
            "peer": connection.peer,
            "client": client_text(connection),
            "local": connection.local,
            "number": connection.id,
            "bytes_in": connection.bytes_in,
            "bytes_out": connection.bytes_out,
        }
    is_flow = event.type is EventType.ACCEPT and listener.transport == "udp"
    return _ACCEPT_UDP if is_flow else _FORMATS[event.type], fields


def sentence_of(event: Event) -> str:
    """Return an event's message as text, with control characters escaped."""
    words, fields = message_of(event)
    return printable(words.format_map(fields))
