"""The parameters of ``/connections``, as a value that selects connections. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address

from sockd.model.address import is_unix_name
from sockd.model.ledger import Ledger
from sockd.model.records import Connection
from sockd.stats.http.answers import BAD_REQUEST, RequestError
from sockd.support.text import listed

DEFAULT_LIMIT = 1000

_NUMBER = re.compile(r"[0-9]{1,18}")
_NAMES = ("service", "peer", "state", "limit", "after", "format")

Parameters = Mapping[str, tuple[str, ...]]


class Chosen(StrEnum):
    """The values of ``?state=``."""

    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """A query for connections.

    :ivar service: only connections of this service; ``None``: of all.
    :ivar peer: only connections from this host, in the form of :func:`same_text`.
    :ivar limit: the maximum number of connections.
    :ivar after: only connections with a greater number.
    """

    service: str | None = None
    peer: str | None = None
    state: Chosen = Chosen.OPEN
    limit: int = DEFAULT_LIMIT
    after: int = 0

    def source(self, ledger: Ledger) -> Iterator[Connection]:
        """Return the connections to search, ordered by number."""
        if self.state is Chosen.OPEN:
            return ledger.open_connections(self.after)
        return ledger.all_connections(self.after)

    def selects(self, connection: Connection) -> bool:
        """Return whether the query selects a connection in its current state."""
        return (
            (self.service is None or connection.service.name == self.service)
            and (self.state is Chosen.ALL or self._state_of(connection) is self.state)
            and (self.peer is None or same_text(connection.peer.host) == self.peer)
        )

    @staticmethod
    def _state_of(connection: Connection) -> Chosen:
        return Chosen.OPEN if connection.closed is None else Chosen.CLOSED


def same_text(host: str) -> str:
    """Return the canonical text of an address (RFC 5952); other hosts unchanged."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
        return str(address.ipv4_mapped or address)
    except ValueError:
        return host


def parse_query(parameters: Parameters, services: Collection[str]) -> ConnectionQuery:
    """Return the query of the parameters.

    :param services: the names of the services.
    :raise RequestError: if a parameter is not valid.
    """
    given = single_values(parameters, _NAMES)
    return ConnectionQuery(
        service=_one_of("service", given, services) if "service" in given else None,
        peer=_peer(given["peer"]) if "peer" in given else None,
        state=Chosen(_one_of("state", given, list(Chosen)) if "state" in given else Chosen.OPEN),
        limit=_number_parameter("limit", given, DEFAULT_LIMIT, lambda number: number >= 1),
        after=_number_parameter("after", given, 0, lambda _: True),
    )


def single_values(parameters: Parameters, known: Sequence[str]) -> dict[str, str]:
    """Return the value of each parameter.

    :raise RequestError: if one is unknown, or is given twice.
    """
    for name, values in parameters.items():
        if name not in known:
            raise RequestError(BAD_REQUEST, f"unknown parameter; known: {', '.join(known)}")
        if len(values) > 1:
            raise RequestError(BAD_REQUEST, f"{name} is given twice; give it once")
    return {name: values[0] for name, values in parameters.items()}


def _one_of(name: str, given: Mapping[str, str], known: Collection[str]) -> str:
    value = given[name]
    if value not in known:
        raise RequestError(BAD_REQUEST, f"{name} must be {listed(known)}")
    return value


def _peer(value: str) -> str:
    """Return the host of ``?peer=``: an address, or the name of a unix client."""
    if is_unix_name(value):
        return value
    host = value.removeprefix("[").removesuffix("]")
    try:
        ip_address(host)
    except ValueError:
        text = "peer must be an address without a port, such as 127.0.0.1 or ::1"
        raise RequestError(BAD_REQUEST, text) from None
    return same_text(host)


def _number_parameter(
    name: str, given: Mapping[str, str], default: int, fits: Callable[[int], bool]
) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not fits(int(text)):
        hint = (
            "a number from 1 up, of 18 digits at most"
            if name == "limit"
            else "the number of a connection"
        )
        raise RequestError(BAD_REQUEST, f"{name} must be {hint}")
    return int(text)
