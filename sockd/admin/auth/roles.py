"""The roles of users. Pure."""

from __future__ import annotations

from enum import StrEnum

VIEWER = "viewer"
"""The user name of viewers who log in with a key."""


class Role(StrEnum):
    """The role of a user, which determines the permissions."""

    ADMIN = "admin"
    """Runs Python in the daemon, with all permissions of the daemon's user."""
    VIEWER = "viewer"
    """Reads only, with the commands of :mod:`sockd.admin.commands.viewer`."""
