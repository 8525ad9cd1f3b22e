"""What somebody who is logged in may do. Pure."""

from __future__ import annotations

from enum import StrEnum

VIEWER = "viewer"
"""The login name of those who come in as viewers with a key."""


class Role(StrEnum):
    """The two ways to be in."""

    ADMIN = "admin"
    """Runs Python in the daemon, and so may do everything that its user can."""
    VIEWER = "viewer"
    """Reads: the commands of :mod:`sockd.admin.commands.viewer`, and nothing else."""
