"""What every service is given: the reactor, the ledger, and how long to drain."""

from __future__ import annotations

from dataclasses import dataclass, field

from sockd.model.ledger import Ledger
from sockd.net.spare_sockets import SpareSockets
from sockd.reactor import IReactor


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """The collaborators of a service.

    :ivar drain: at a stop, how long live connections may finish, in seconds.
    :ivar fast_path: whether plain TCP connections are echoed past the reactor.
    :ivar io_uring: whether the lane may use io_uring(7).
    :ivar spare: the sockets that change hands during a reload.
    """

    reactor: IReactor
    ledger: Ledger
    drain: float
    fast_path: bool = False
    io_uring: bool = True
    spare: SpareSockets = field(default_factory=SpareSockets)
