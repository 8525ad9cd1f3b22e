"""The events of the ledger, named after the calls of the socket interface."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, ServiceRecord


class EventType(StrEnum):
    """The type of an event, named after a call of the socket interface."""

    BIND = "bind"
    LISTEN = "listen"
    ACCEPT = "accept"
    REFUSE = "refuse"
    CLOSE = "close"


class Event(NamedTuple):
    """An event of a service's sockets.

    :ivar time: in seconds since the epoch.
    :ivar connection: the connection, for :attr:`EventType.ACCEPT` and :attr:`EventType.CLOSE`.
    :ivar peer: the refused client, for :attr:`EventType.REFUSE`.
    """

    type: EventType
    time: float
    service: ServiceRecord
    listener: Listener
    connection: Connection | None = None
    peer: Address | None = None
    reason: EndReason | RefusalReason | None = None
