"""The format of server-sent events (WHATWG HTML, section 9.2). Pure.

The data is one line of ASCII JSON, so nothing that a peer chooses can end a line.
"""

from __future__ import annotations

from sockd.model.events import Event, EventType
from sockd.model.records import Connection
from sockd.render.fields import FIELDS, FIXED_FIELDS, address_view
from sockd.render.json_views import JsonObject, fields_view
from sockd.stats.http.answers import encoded
from sockd.support.text import rfc3339

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b": heartbeat\n\n"


def retry_frame(delay: float) -> bytes:
    """Return the field that sets the reconnection time of a client.

    :param delay: in seconds.
    """
    return b"retry: %d\n\n" % (delay * 1000)


def frame(name: str, data: bytes, number: bytes) -> bytes:
    """Return one event.

    :param data: JSON in one line.
    :param number: the id that a client sends as ``Last-Event-ID`` to resume after this event.
    """
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (number, name.encode("ascii"), data)


def event_frame(event: Event, number: bytes) -> bytes:
    """Return an event of the ledger."""
    return frame(event.type, encoded(event_view(event)), number)


def event_view(event: Event) -> JsonObject:
    """Return the data of an event; it is sufficient to draw the event."""
    view: JsonObject = {"time": rfc3339(event.time), "service": event.service.name}
    match event:
        case Event(type=EventType.ACCEPT, connection=Connection() as connection):
            view["connection"] = fields_view(FIXED_FIELDS, connection)
        case Event(type=EventType.CLOSE, connection=Connection() as connection):
            view["connection"] = fields_view(FIELDS, connection)
        case _:
            view |= _event_location(event)
    return view if event.reason is None else view | {"reason": event.reason}


def _event_location(event: Event) -> JsonObject:
    """Return the listener of an event without a connection, and the address of a refused client."""
    listener = event.listener
    view: JsonObject = {
        "listener": {
            "transport": listener.transport,
            **address_view(listener.address),
            "backlog": listener.backlog,
        }
    }
    return view if event.peer is None else view | {"peer": address_view(event.peer)}
