"""The table rows of services, for the admin shell and HTTP. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from sockd.model.records import Listener

if TYPE_CHECKING:
    from sockd.model.records import ServiceRecord

SERVICE_COLUMNS = (
    *("name", "kind", "reply", "state", "listens on", "waiting"),
    *("active", "opened", "closed", "refused", "bytes_in", "bytes_out"),
)


class RunningService(Protocol):
    """The part of a service that a table needs."""

    record: ServiceRecord

    def waiting(self, listener: Listener) -> int | None:
        """Return the number of clients in a listener's accept queue; ``None`` if unknown."""


def service_row(service: RunningService) -> list[object]:
    """Return a service as a row of a table."""
    record = service.record
    queues = [service.waiting(listener) for listener in record.listeners]
    known = [length for length in queues if length is not None]
    return [
        record.name,
        record.kind,
        record.reply,
        record.state.value,
        listening_on(record.listeners) or None,
        sum(known) if known else None,
        record.active,
        record.opened,
        record.closed,
        record.refused,
        record.bytes_in,
        record.bytes_out,
    ]


def listening_on(listeners: Iterable[Listener]) -> str:
    """Return the addresses of listeners, separated by commas."""
    return ", ".join(str(listener.address) for listener in listeners)
