"""Settings of Python's garbage collector."""

from __future__ import annotations

import gc


def settle() -> None:
    """Exclude all current objects from garbage collection; call it once, after the start.

    A full collection visits every object and blocks the reactor: for tens of milliseconds in a
    daemon with thousands of endpoints.
    """
    gc.collect()
    gc.freeze()
