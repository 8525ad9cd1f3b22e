"""One core for the server, another one for the load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True)
class Cores:
    """The numbers of two cores."""

    server: int
    load: int


def chosen(usable: Sequence[int], siblings: Mapping[int, str]) -> Cores | None:
    """Return two cores that share no hardware, if there are; else any two; else none.

    :param siblings: equal texts for what are threads of one core.
    """
    if len(usable) < 2:
        return None
    server, *others = sorted(usable)
    apart = [core for core in others if siblings.get(core) != siblings.get(server)]
    return Cores(server, (apart or others)[0])


def find() -> Cores | None:
    """Return the two that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    siblings = {}
    for core in usable:
        file = Path(_TOPOLOGY.format(core))
        siblings[core] = file.read_text(encoding="ascii").strip() if file.exists() else str(core)
    return chosen(usable, siblings)


@contextmanager
def on(core: int) -> Iterator[None]:
    """Run on a core for a while: what is started meanwhile stays there, from its first step."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
