"""The collaborators and settings that all services share."""

from __future__ import annotations

from dataclasses import dataclass, field

from sockd.model.ledger import Ledger
from sockd.net.spare_sockets import SpareSockets
from sockd.reactor import IReactor


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The collaborators of a service.

    :ivar drain: how long open connections may finish when a service stops, in seconds.
    :ivar fast_path: whether plain echo may bypass the reactor.
    :ivar io_uring: whether the fast path may use io_uring(7).
    :ivar spare: the sockets that pass from one service to another during a reload.
    """

    reactor: IReactor
    ledger: Ledger
    drain: float
    fast_path: bool = False
    io_uring: bool = True
    spare: SpareSockets = field(default_factory=SpareSockets)
