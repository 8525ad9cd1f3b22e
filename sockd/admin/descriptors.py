"""How many descriptors the admin shell may have open. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.config.specs import AdminSpec

MAX_UNAUTHENTICATED = 20
"""How many connections may be open that have not logged in, beside ``max_sessions`` that have."""

CLOSING = 10
"""For connections that are being refused or closed."""


def admin_descriptors(spec: AdminSpec) -> int:
    """Return how many a section needs: listeners, sessions, and connections before the login."""
    return len(spec.ssh) + len(spec.telnet) + spec.max_sessions + MAX_UNAUTHENTICATED + CLOSING
