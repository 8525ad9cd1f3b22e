"""What is checked of every request before anything is answered. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sockd.stats.http.answers import BAD_REQUEST, METHOD_NOT_ALLOWED, MISDIRECTED, RequestError
from sockd.stats.http.hosts import KnownHosts, host_of
from sockd.stats.http.target import Target, parse_target

_METHODS = frozenset({b"GET", b"HEAD"})
_ALLOW = {"Allow": "GET, HEAD"}


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request, as it came.

    :ivar uri: the request target.
    :ivar version: such as ``HTTP/1.1``.
    :ivar hosts: the values of its ``Host`` headers.
    :ivar arrived_at: the address that the client connected to; empty if it has none.
    :ivar accept: what its ``Accept`` headers say, joined; empty if it has none.
    :ivar last_event_id: what its ``Last-Event-ID`` says; empty if it has none.
    """

    method: bytes
    uri: bytes
    version: bytes
    hosts: tuple[bytes, ...]
    arrived_at: str
    accept: str = ""
    last_event_id: str = ""


def admitted(head: Head, known: KnownHosts) -> Target:
    """Return what a request asks for, if it may ask here.

    HTTP/1.0 has no ``Host`` (health checks speak it); HTTP/1.1 has one exactly (RFC 9112, 3.2).
    Where the target is an absolute URI its host counts too.

    :raise RequestError: if it may not.
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
        text = "the request names a host that is not this one; see `hosts` in [stats]"
        raise RequestError(MISDIRECTED, text)
