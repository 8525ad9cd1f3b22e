"""The number of descriptors of the stats endpoint. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.config.specs import StatsSpec

MAX_CONNECTIONS = 200
"""The maximum number of connections to the endpoint."""


def stats_descriptors(spec: StatsSpec) -> int:
    """Return the number of descriptors for listeners and connections."""
    return len(spec.listen) + MAX_CONNECTIONS
