"""The request target: authority, path and parameters (RFC 9112, section 3.2). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote

from sockd.stats.http.answers import BAD_REQUEST, RequestError

_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a request.

    :ivar authority: the host and port of a target in absolute form; ``None`` in origin form.
    :ivar segments: the segments of the path; ``/`` is one empty segment.
    :ivar parameters: the values of each parameter.
    :ivar accept: the accepted media types (RFC 9110, section 12.5.1); empty: any.
    :ivar last_event_id: the last event that the client has received; empty if there is none.
    """

    authority: str | None
    segments: tuple[str, ...]
    parameters: Mapping[str, tuple[str, ...]]
    accept: str = ""
    last_event_id: str = ""


def parse_target(uri: bytes) -> Target:
    """Parse a request target.

    :raise RequestError: if it is neither a path nor an absolute ``http`` URI.
    """
    text = uri.decode("latin-1")
    authority = None
    match = _ABSOLUTE.fullmatch(text)
    if match is not None:
        authority, text = match["authority"], match["rest"]
    path, _, query = text.partition("?")
    if match is not None:
        path = path or "/"
    if not path.startswith("/"):
        raise RequestError(BAD_REQUEST, "the request target must be a path such as /stats")
    segments = tuple(unquote(segment) for segment in path[1:].split("/"))
    return Target(authority, segments, _parameters(query))


def _parameters(query: str) -> Mapping[str, tuple[str, ...]]:
    parameters: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = (*parameters.get(name, ()), value)
    return MappingProxyType(parameters)
