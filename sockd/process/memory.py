"""Keeps Python's garbage collector from looking again and again at what stays for good."""

from __future__ import annotations

import gc


def settle() -> None:
    """Take all that there is now for permanent; call it once, when everything has started.

    A full collection looks at everything, and nobody is served meanwhile: tens of milliseconds in
    a daemon with thousands of endpoints.
    """
    gc.collect()
    gc.freeze()
