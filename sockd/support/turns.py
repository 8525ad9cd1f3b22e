"""Runs long work on the reactor's thread without keeping the reactor from its clients.

A thread would not do: for each system call that the reactor makes meanwhile, it would wait up to
five milliseconds for the interpreter (:func:`sys.setswitchinterval`).
"""

from __future__ import annotations

import time
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sockd.support.steps import Steps

TURN = 0.002
"""How long the steps of one turn of the reactor may take together, in seconds."""

T = TypeVar("T")


async def in_turns(reactor: IReactorTime, steps: Steps[T]) -> T:
    """Do the work and return its result; the reactor has its turn after :data:`TURN` seconds."""
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
