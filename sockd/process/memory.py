"""Settings of Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def settle() -> None:
    """Exclude all current objects from garbage collection; call it once, after the start.

    A full collection visits every object and blocks the reactor: for tens of milliseconds in a
    daemon with thousands of endpoints.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def collections_postponed() -> Iterator[None]:
    """Collect no garbage meanwhile, and exclude the objects that are left from later collections.

    For work that makes many lasting objects while clients are served. Cycles of garbage that exist
    at its end are not freed any more.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
