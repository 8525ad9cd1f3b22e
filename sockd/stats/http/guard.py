"""The check of each request before it is answered. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sockd.stats.http.answers import BAD_REQUEST, METHOD_NOT_ALLOWED, MISDIRECTED, RequestError
from sockd.stats.http.hosts import KnownHosts, host_of
from sockd.stats.http.target import Target, parse_target

_METHODS = frozenset({b"GET", b"HEAD"})
_ALLOW = {"Allow": "GET, HEAD"}


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request.

    :ivar uri: the request target.
    :ivar version: such as ``HTTP/1.1``.
    :ivar hosts: the values of its ``Host`` headers.
    :ivar arrived_at: the local address of the connection; empty if it has none.
    :ivar accept: its ``Accept`` headers, joined; empty if there are none.
    :ivar last_event_id: its ``Last-Event-ID``; empty if there is none.
    """

    method: bytes
    uri: bytes
    version: bytes
    hosts: tuple[bytes, ...]
    arrived_at: str
    accept: str = ""
    last_event_id: str = ""


def admitted(head: Head, known: KnownHosts) -> Target:
    """Return the target of a request that passes the check.

    An HTTP/1.0 request, such as a health check, may have no ``Host``. An HTTP/1.1 request has
    exactly one (RFC 9112, section 3.2). If the target is an absolute URI, its host is checked too.

    :raise RequestError: if the request does not pass.
    """
    if len(head.hosts) > 1 or (not head.hosts and head.version != b"HTTP/1.0"):
        raise RequestError(BAD_REQUEST, "the request needs one Host header")
    for host in head.hosts:
        _check_host_header(host.decode("latin-1"), head, known)
    if head.method not in _METHODS:
        raise RequestError(METHOD_NOT_ALLOWED, "only GET and HEAD are allowed", _ALLOW)
    target = parse_target(head.uri)
    if target.authority is not None:
        _check_host_header(target.authority, head, known)
    return replace(target, accept=head.accept, last_event_id=head.last_event_id)


def _check_host_header(authority: str, head: Head, known: KnownHosts) -> None:
    try:
        host = host_of(authority)
    except ValueError:
        raise RequestError(BAD_REQUEST, "the host of the request is malformed") from None
    if not known.knows(host, head.arrived_at):
        text = "the request names an unknown host; see `hosts` in [stats]"
        raise RequestError(MISDIRECTED, text)
