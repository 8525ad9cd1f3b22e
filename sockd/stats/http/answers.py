"""Answers of the stats endpoint, as values. Pure.

A small answer is complete, and its length is known. A long one is an iterator of slices. Each slice
is little work, so that the daemon serves its peers in between.
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
"""The reason phrases of the status codes (RFC 9110, section 15)."""


DELIVERY_TIMEOUT = 60.0
"""How long a client may read nothing while data is waiting for it, in seconds."""


class Outlet(Protocol):
    """The connection on which an answer is sent."""

    def untaken(self) -> int:
        """Return how many bytes are in the kernel that the peer has not acknowledged."""

    def abort(self) -> None:
        """Abort the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    :ivar body: the whole body, or an iterator of slices, which may be empty. The iterator may also
        yield a Deferred that fires when there is more.
    :ivar headers: additional headers.
    :ivar release: for an endless answer, called when the client is gone.
    :ivar attach: for an endless answer, called with its connection.
    :ivar end_timeout: when an endless answer ends, how long the client may take to read the rest,
        in seconds. Then the connection is aborted.
    """

    body: bytes | Iterator[bytes | Deferred[None]]
    status: int = OK
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    release: Callable[[], object] | None = None
    attach: Callable[[Outlet], object] | None = None
    end_timeout: float = DELIVERY_TIMEOUT


class RequestError(Exception):
    """A request that is answered with an error.

    The text never contains what the client sent.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or {}

    def answer(self) -> Answer:
        """Return the error as an answer."""
        return json_answer({"error": str(self)}, self.status, self.headers)


def encoded(value: object) -> bytes:
    """Return a value as one line of JSON; all non-ASCII characters are escaped."""
    return json.dumps(value).encode("ascii")


def json_answer(
    value: object, status: int = OK, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer of indented JSON."""
    text = json.dumps(value, indent=2) + "\n"
    return Answer(text.encode("ascii"), status, JSON, headers or {})
