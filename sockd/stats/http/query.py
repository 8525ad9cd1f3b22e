"""The parameters of ``/connections``, as a frozen value that selects connections. Pure."""

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
    """Which connections are asked for."""

    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """Which connections to list.

    :ivar service: only this service's; ``None``: all services'.
    :ivar peer: only those from this host, in the form of :func:`same_text`.
    :ivar limit: at most so many.
    :ivar after: only those with a greater number.
    """

    service: str | None = None
    peer: str | None = None
    state: Chosen = Chosen.OPEN
    limit: int = DEFAULT_LIMIT
    after: int = 0

    def source(self, ledger: Ledger) -> Iterator[Connection]:
        """Return where to look, ordered by number; not everything there is selected."""
        if self.state is Chosen.OPEN:
            return ledger.open_connections(self.after)
        return ledger.all_connections(self.after)

    def selects(self, connection: Connection) -> bool:
        """Return whether a connection, as it is now, is asked for."""
        return (
            (self.service is None or connection.service.name == self.service)
            and (self.state is Chosen.ALL or self._state_of(connection) is self.state)
            and (self.peer is None or same_text(connection.peer.host) == self.peer)
        )

    @staticmethod
    def _state_of(connection: Connection) -> Chosen:
        return Chosen.OPEN if connection.closed is None else Chosen.CLOSED


def same_text(host: str) -> str:
    """Return the one text of an address that can be written in several ways (RFC 5952)."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
        return str(address.ipv4_mapped or address)
    except ValueError:
        return host


def parse_query(parameters: Parameters, services: Collection[str]) -> ConnectionQuery:
    """Return what the parameters ask for.

    :param services: the services there are.
    :raise RequestError: if they make no sense; it says what would.
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
    """Return the one value of each parameter.

    :raise RequestError: if one is not known, or is given twice.
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
    """Return the host to look for: an address, or a unix client's name as the answers show it."""
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
