"""The maximum number of descriptors of the admin shell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sockd.config.specs import AdminSpec

MAX_UNAUTHENTICATED = 20
"""The maximum number of connections before the login, in addition to ``max_sessions``."""

CLOSING = 10
"""A reserve for connections that are being refused or closed."""


def admin_descriptors(spec: AdminSpec) -> int:
    """Return the maximum: listeners, sessions, and connections before the login."""
    return len(spec.ssh) + len(spec.telnet) + spec.max_sessions + MAX_UNAUTHENTICATED + CLOSING
