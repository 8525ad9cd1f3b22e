"""Lends the recorder to one thread at a time, so that no disk keeps the reactor waiting."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from sockd.capture.recorder import Recorder
from sockd.reactor import IReactor


class WriterThread:
    """A recorder, and the threads that it works in.

    :ivar recorder: what is read of it here was written down by its last job.
    """

    def __init__(self, reactor: IReactor, recorder: Recorder) -> None:
        self._reactor = reactor
        self._lock = DeferredLock()
        self.recorder = recorder

    def ask(self, job: Callable[[Recorder], None]) -> Deferred[None]:
        """Do a job after those that were asked for before; return what fires when it is done."""
        return self._lock.run(self._in_thread, job)

    def _in_thread(self, job: Callable[[Recorder], None]) -> Deferred[None]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, job, self.recorder)
