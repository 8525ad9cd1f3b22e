"""How many descriptors a configuration may come to need, and whether a process can have so many.

Pure. All that may be open at once is added up before anything starts. So accept(2) never fails for
want of a descriptor, and however many clients the services have, the stats endpoint and the shell
keep theirs.

The reactor ``select`` cannot watch as many as others. There, a service that does not say how many
connections it takes has those that are left; what a file says itself is never changed.
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

SELECT = 1024
"""What select(2) can watch: descriptors below this number."""

LANE = 6
"""An epoll(7) of a service's own, an io_uring(7), which has two more for its memory, a pipe(7)."""

_ONE_AT_A_TIME = "tcp"
_CONNECTIONS = "max_connections"
_REMEDY = "lower max_connections, or raise the limit: `ulimit -Hn`, or LimitNOFILE= for systemd"
_REMEDY_SELECT = (
    "lower max_connections, or take another reactor: `twistd --help-reactors` lists them"
)


def of_service(spec: ServiceSpec) -> int:
    """Return how many a service may have open: listeners, the fast lane's, and its clients'."""
    if all(endpoint.kind == DATAGRAM for endpoint in spec.listen):
        return len(spec.listen)
    clients = 1 if spec.kind == _ONE_AT_A_TIME else spec.max_connections
    return len(spec.listen) + LANE + clients


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


def fitted(configuration: Configuration, limit: int) -> Configuration:
    """Return a configuration that fits, if it does where no section says ``max_connections``.

    :param limit: how many descriptors there may be.
    """
    free = [spec for spec in configuration.services if _is_free(spec, configuration)]
    excess = needed(configuration) - limit
    if excess <= 0 or not free:
        return configuration
    each = (sum(spec.max_connections for spec in free) - excess) // len(free)
    if each < 1:
        return configuration
    services = [
        replace(spec, max_connections=each) if spec in free else spec
        for spec in configuration.services
    ]
    return replace(configuration, services=tuple(services))


def _is_free(spec: ServiceSpec, configuration: Configuration) -> bool:
    """Return whether a service takes as many connections as there are by default."""
    is_said = (spec.location.section, _CONNECTIONS) in configuration.locations
    return not is_said and of_service(spec) > spec.max_connections


def problems(configuration: Configuration, limit: int, is_select: bool = False) -> list[Problem]:
    """Return what is wrong if a process may not have so many.

    :param limit: how many it may have open.
    :param is_select: whether the reactor is ``select``.
    """
    need = needed(configuration)
    if need <= (min(limit, SELECT) if is_select else limit):
        return []
    largest = max(configuration.services, key=of_service)
    message, hint = f"{need} descriptors are needed in all, and the hard limit is {limit}", _REMEDY
    if is_select and limit >= SELECT:
        message = f"{need} descriptors are needed in all, and the reactor select serves {SELECT}"
        hint = _REMEDY_SELECT
    section = replace(largest.location, option=_CONNECTIONS)
    location = configuration.locations.get((section.section, _CONNECTIONS), section)
    return [Problem(location, message, hint)]
