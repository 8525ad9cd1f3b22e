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
        self._is_hurried = False
        self._waiting: Deferred[None] | None = None

    def closed(self, connection: int) -> None:
        """Take note that a connection is gone."""
        self.left.discard(connection)
        if not self.left:
            self._wake()

    def hurry(self) -> None:
        """End the wait that is under way, or else the next one."""
        self._is_hurried = True
        self._wake()

    async def wait(self, seconds: float, clock: IReactorTime) -> None:
        """Return once the last of them is gone, or the time is over, or somebody is in a hurry."""
        if self.left and not self._is_hurried:
            self._waiting = Deferred()
            try:
                await self._waiting.addTimeout(seconds, clock)
            except DeferredTimeoutError:
                self._waiting = None
        self._is_hurried = False

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
