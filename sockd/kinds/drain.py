"""The connections that a stop waits for: those that were open when it came, and no later ones."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime


class Drain:
    """Waits until connections are gone.

    :ivar left: the numbers of those that are still there.
    """

    def __init__(self, connections: Iterable[int]) -> None:
        self.left = set(connections)
        self._done: Deferred[None] | None = None

    def closed(self, connection: int) -> None:
        """Take note that a connection is gone."""
        self.left.discard(connection)
        if not self.left:
            self.end()

    def end(self) -> None:
        """Wait no more."""
        done, self._done = self._done, None
        if done is not None:
            done.callback(None)

    async def wait(self, seconds: float, clock: IReactorTime) -> None:
        """Return once the last of them is gone, or the time is over, or somebody ends it."""
        if self.left:
            done: Deferred[None] = Deferred()
            self._done = done
            try:
                await done.addTimeout(seconds, clock)
            except DeferredTimeoutError:
                self._done = None
