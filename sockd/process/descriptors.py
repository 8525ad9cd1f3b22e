"""How many descriptors a configuration may need, and how many the process may have.

All that may be open at once is added up before anything starts. So accept(2) never fails for want
of a descriptor, and however many clients the services have, the stats endpoint and the shell keep
theirs (getrlimit(2), ``RLIMIT_NOFILE``).

The reactor ``select`` cannot watch as many as others. There, a service whose section does not set
``max_connections`` gets a share of those that are left; what a section sets is never changed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sockd.errors import Problem

if TYPE_CHECKING:
    from sockd.config.specs import Configuration

RESERVE = 128
"""For the rest: the log, the reactor's own, and clients that are being refused."""

SELECT = 1024
"""What select(2) can watch: descriptors below this number."""

_CONNECTIONS = "max_connections"
_HINT = "lower max_connections, or raise the limit: `ulimit -Hn`, or LimitNOFILE= for systemd"
_HINT_SELECT = "lower max_connections, or take another reactor: `twistd --help-reactors` lists them"


@dataclass(frozen=True, slots=True)
class Demand:
    """The descriptors that a configuration may need.

    :ivar services: how many each service may need, by its name.
    :ivar others: how many ``[stats]``, ``[admin]`` and ``[capture]`` may need together.
    """

    services: Mapping[str, int]
    others: int = 0

    @property
    def total(self) -> int:
        """All of them, with the reserve."""
        return RESERVE + sum(self.services.values()) + self.others


def fitted(configuration: Configuration, demand: Demand, limit: int) -> Configuration:
    """Return a configuration that fits, if it does where no section sets ``max_connections``.

    :param limit: how many descriptors there may be.
    """
    free = [
        spec
        for spec in configuration.services
        if (spec.location.section, _CONNECTIONS) not in configuration.locations
        and demand.services[spec.name] > spec.max_connections
    ]
    excess = demand.total - limit
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


def problems(
    configuration: Configuration, demand: Demand, limit: int, is_select: bool = False
) -> list[Problem]:
    """Return what is wrong if a process may not have so many.

    :param limit: how many it may have open.
    :param is_select: whether the reactor is ``select``.
    """
    if demand.total <= (min(limit, SELECT) if is_select else limit):
        return []
    largest = max(configuration.services, key=lambda spec: demand.services[spec.name])
    needs = f"{demand.total} descriptors are needed in all"
    message, hint = f"{needs}, and the hard limit is {limit}", _HINT
    if is_select and limit >= SELECT:
        message, hint = f"{needs}, and the reactor select serves {SELECT}", _HINT_SELECT
    section = replace(largest.location, option=_CONNECTIONS)
    location = configuration.locations.get((section.section, _CONNECTIONS), section)
    return [Problem(location, message, hint)]


def hard_limit() -> int:
    """Return how many this process may ever have; ``sys.maxsize`` where nobody says."""
    try:
        import resource
    except ImportError:  # there is none on Windows
        return sys.maxsize
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def claim(most: int) -> None:
    """Raise the soft limit to the hard one, or to ``most`` where that is less.

    A client for whom there is no descriptor is closed by Twisted, and nobody counts it.
    """
    with suppress(ImportError, OSError, ValueError):  # macOS has a lower one that it does not tell
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = most if most < hard_limit() else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
