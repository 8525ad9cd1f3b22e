"""After the start, collections of garbage do not look at what stays for good."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sockd.process.memory import settle


@pytest.fixture
def _unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_unfrozen")
def test_what_is_there_is_permanent_and_what_comes_later_is_collected() -> None:
    gc.unfreeze()
    gc.collect()  # of the tests before
    before = len(gc.get_objects())
    settle()
    assert gc.get_freeze_count() > before / 2
    assert len(gc.get_objects()) < before / 2
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
