"""How many descriptors this process may have open: getrlimit(2), ``RLIMIT_NOFILE``."""

from __future__ import annotations

import sys
from contextlib import suppress


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
