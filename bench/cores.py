"""Selects a CPU core for the server, and another one for the load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True)
class Cores:
    """The numbers of two logical CPUs."""

    server: int
    load: int


def chosen(usable: Sequence[int], siblings: Mapping[int, str]) -> Cores | None:
    """Return two logical CPUs, on different cores if possible; ``None`` if there is only one.

    :param siblings: the same text for the threads of a core.
    """
    if len(usable) < 2:
        return None
    server, *others = sorted(usable)
    apart = [core for core in others if siblings.get(core) != siblings.get(server)]
    return Cores(server, (apart or others)[0])


def find() -> Cores | None:
    """Return the two CPUs to use, out of those that this process may run on."""
    usable = sorted(os.sched_getaffinity(0))
    siblings = {}
    for core in usable:
        file = Path(_TOPOLOGY.format(core))
        siblings[core] = file.read_text(encoding="ascii").strip() if file.exists() else str(core)
    return chosen(usable, siblings)


@contextmanager
def on(core: int) -> Iterator[None]:
    """Run on a core; processes started meanwhile inherit the affinity."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
