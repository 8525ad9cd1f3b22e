"""The events of the ledger: what happened to the sockets of a service."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, ServiceRecord


class EventType(StrEnum):
    """What happened, in the words of the socket interface."""

    BIND = "bind"
    LISTEN = "listen"
    ACCEPT = "accept"
    REFUSE = "refuse"
    CLOSE = "close"


class Event(NamedTuple):
    """Something that happened to a service's sockets.

    :ivar connection: what was accepted or closed; ``None`` for the other words.
    :ivar peer: who was refused, for :attr:`EventType.REFUSE`.
    """

    type: EventType
    time: float
    service: ServiceRecord
    listener: Listener
    connection: Connection | None = None
    peer: Address | None = None
    reason: EndReason | RefusalReason | None = None
