"""Runs the recorder in threads, one job at a time, so that the disk never blocks the reactor."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from sockd.capture.recorder import Recorder
from sockd.reactor import IReactor


class WriterThread:
    """A recorder whose jobs run in threads.

    :ivar recorder: its attributes may be read here; the last job set them.
    """

    def __init__(self, reactor: IReactor, recorder: Recorder) -> None:
        self._reactor = reactor
        self._lock = DeferredLock()
        self.recorder = recorder

    def ask(self, job: Callable[[Recorder], None]) -> Deferred[None]:
        """Run a job after those before it. Return a Deferred that fires when it is done."""
        return self._lock.run(self._in_thread, job)

    def _in_thread(self, job: Callable[[Recorder], None]) -> Deferred[None]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, job, self.recorder)
