"""What the stats endpoint says to one request, before any of it is sent.

Pure. A small answer is whole, and its length is known; a long one is an iterator of slices, each
of them little work to make, so that the daemon serves its peers in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

OK = 200
BAD_REQUEST = 400
NOT_FOUND = 404
METHOD_NOT_ALLOWED = 405
MISDIRECTED = 421
INTERNAL_SERVER_ERROR = 500
SERVICE_UNAVAILABLE = 503

REASONS = MappingProxyType(
    {
        OK: "OK",
        BAD_REQUEST: "Bad Request",
        NOT_FOUND: "Not Found",
        METHOD_NOT_ALLOWED: "Method Not Allowed",
        MISDIRECTED: "Misdirected Request",
        INTERNAL_SERVER_ERROR: "Internal Server Error",
        SERVICE_UNAVAILABLE: "Service Unavailable",
    }
)
"""The words that go with the status codes (RFC 9110, 15)."""


DELIVERY_TIMEOUT = 60.0
"""How long a client may take nothing of what waits for it, in seconds."""


class Outlet(Protocol):
    """The connection that an answer is sent over."""

    def untaken(self) -> int:
        """Return how many bytes the kernel keeps that the client's system has not acknowledged."""

    def abort(self) -> None:
        """Drop the connection at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    :ivar body: all of it, or its slices; a slice may be empty. Where there is nothing to say for
        now, what fires when there is stands in place of a slice.
    :ivar headers: those beside the ones that every answer has.
    :ivar release: of an answer without an end, what is called when nobody takes it any more.
    :ivar attach: of an answer without an end, what is called with the connection that it goes to.
    :ivar farewell: how long the client may take for the rest once an answer without an end is
        over, in seconds. Then the connection is dropped.
    """

    body: bytes | Iterator[bytes | Deferred[None]]
    status: int = OK
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    release: Callable[[], object] | None = None
    attach: Callable[[Outlet], object] | None = None
    farewell: float = DELIVERY_TIMEOUT


class RequestError(Exception):
    """A request that gets an error for an answer.

    The text never repeats what the client sent.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or {}

    def answer(self) -> Answer:
        """Return what to say."""
        return json_answer({"error": str(self)}, self.status, self.headers)


def encoded(value: object) -> bytes:
    """Return a value as JSON in one line; every character outside of ASCII is escaped."""
    return json.dumps(value).encode("ascii")


def json_answer(
    value: object, status: int = OK, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return a whole answer, indented for those who read it."""
    text = json.dumps(value, indent=2) + "\n"
    return Answer(text.encode("ascii"), status, JSON, headers or {})
