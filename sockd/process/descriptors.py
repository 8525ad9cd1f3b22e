"""The number of descriptors that a configuration may need, and the limit of the process.

All descriptors that may be open at once are added up before anything starts. So accept(2) never
fails with EMFILE, and the stats endpoint and the shell stay reachable however many clients the
services have (getrlimit(2), ``RLIMIT_NOFILE``).

The reactor ``select`` supports fewer descriptors than others. With it, services whose sections do
not set ``max_connections`` share what is left. A value that a section sets is never changed.
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
"""Descriptors for the log, for the reactor itself, and for clients that are being refused."""

SELECT = 1024
"""FD_SETSIZE: select(2) can only watch descriptors below this number."""

_CONNECTIONS = "max_connections"
_HINT = "lower max_connections, or raise the limit: `ulimit -Hn`, or LimitNOFILE= for systemd"
_HINT_SELECT = "lower max_connections, or take another reactor: `twistd --help-reactors` lists them"


@dataclass(frozen=True, slots=True)
class Demand:
    """The number of descriptors that a configuration may need.

    :ivar services: the number for each service, by its name.
    :ivar others: the number for ``[stats]``, ``[admin]`` and ``[capture]`` together.
    """

    services: Mapping[str, int]
    others: int = 0

    @property
    def total(self) -> int:
        """The sum, including the reserve."""
        return RESERVE + sum(self.services.values()) + self.others


def fitted(configuration: Configuration, demand: Demand, limit: int) -> Configuration:
    """Return a configuration in which services without ``max_connections`` fit into a limit.

    If they cannot fit, the configuration is returned unchanged.

    :param limit: the number of descriptors that may be open.
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
    """Return the problem if the configuration needs more descriptors than the limit.

    :param limit: the number of descriptors that may be open.
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
    """Return the hard limit of this process; ``sys.maxsize`` if the system does not report one."""
    try:
        import resource
    except ImportError:  # Windows
        return sys.maxsize
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def claim(most: int) -> None:
    """Raise the soft limit to ``most``, or to the hard limit if that is lower.

    Without a free descriptor, Twisted closes new clients without telling the factory, so that they
    would not be counted.
    """
    with suppress(ImportError, OSError, ValueError):  # macOS has a lower limit of its own
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = most if most < hard_limit() else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
