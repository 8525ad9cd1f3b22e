"""Long work in the reactor thread, distributed over reactor turns.

A second thread would be worse: after each system call the reactor thread would wait up to 5 ms for
the interpreter lock (:func:`sys.setswitchinterval`).
"""

from __future__ import annotations

import time
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sockd.support.steps import Steps

TURN = 0.002
"""The maximum duration of the steps in one reactor turn, in seconds."""

T = TypeVar("T")


async def in_turns(reactor: IReactorTime, steps: Steps[T]) -> T:
    """Run all steps and return the result; yield to the reactor every :data:`TURN` seconds."""
    end = time.perf_counter() + TURN
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if time.perf_counter() >= end:
            await deferLater(reactor, 0)
            end = time.perf_counter() + TURN
