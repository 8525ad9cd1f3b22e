"""How many descriptors a configuration may come to need, and whether a process can have so many.

Pure. All that may be open at once is added up before anything starts. So accept(2) never fails for
want of a descriptor, and however many clients the services have, the stats endpoint and the shell
keep theirs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sockd.config.endpoint import DATAGRAM
from sockd.errors import Problem

if TYPE_CHECKING:
    from sockd.config.specs import AdminSpec, Configuration, ServiceSpec

STATS = 200
"""How many connections the stats endpoint has at once."""

SHELL_DOOR = 30
"""Kept for those at the door of the admin shell, beside the ``max_sessions`` inside."""

CAPTURE = 32
"""Kept for the child that captures, and for its files."""

RESERVE = 128
"""Kept for the rest: the log, the reactor's own, and clients that are just being turned away."""

_ONE_AT_A_TIME = "tcp"
_REMEDY = "lower max_connections, or raise the limit: `ulimit -Hn`, or LimitNOFILE= for systemd"


def of_service(spec: ServiceSpec) -> int:
    """Return how many a service may have open: listeners, the fast lane's, and its clients'."""
    if all(endpoint.kind == DATAGRAM for endpoint in spec.listen):
        return len(spec.listen)
    clients = 1 if spec.kind == _ONE_AT_A_TIME else spec.max_connections
    return len(spec.listen) + 1 + clients


def of_shell(spec: AdminSpec) -> int:
    """Return how many the admin shell may have open."""
    return len(spec.ssh) + len(spec.telnet) + spec.max_sessions + SHELL_DOOR


def needed(configuration: Configuration) -> int:
    """Return how many a whole configuration may have open."""
    stats, admin = configuration.stats, configuration.admin
    return (
        RESERVE
        + sum(map(of_service, configuration.services))
        + (STATS + len(stats.listen) if stats else 0)
        + (of_shell(admin) if admin else 0)
        + (CAPTURE if configuration.capture else 0)
    )


def problems(configuration: Configuration, limit: int) -> list[Problem]:
    """Return what is wrong if a process may not have so many.

    :param limit: how many it may have open.
    """
    need = needed(configuration)
    if need <= limit:
        return []
    largest = max(configuration.services, key=of_service)
    wrong = f"{need} descriptors are needed in all, and the hard limit is {limit}"
    return [Problem(replace(largest.place, option="max_connections"), wrong, _REMEDY)]
