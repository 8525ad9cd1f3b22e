"""How many descriptors the stats endpoint may have open. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.config.specs import StatsSpec

MAX_CONNECTIONS = 200
"""How many connections the endpoint has at once."""


def stats_descriptors(spec: StatsSpec) -> int:
    """Return how many a section needs: listeners and connections."""
    return len(spec.listen) + MAX_CONNECTIONS
