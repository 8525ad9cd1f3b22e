"""The drain of a service: the wait for connections that were open when it was stopped."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime


class Drain:
    """A wait for connections to close.

    :ivar left: the numbers of the connections that are still open.
    """

    def __init__(self, connections: Iterable[int]) -> None:
        self.left = set(connections)
        self._is_hurried = False
        self._waiting: Deferred[None] | None = None

    def closed(self, connection: int) -> None:
        """Remove a connection that was closed."""
        self.left.discard(connection)
        if not self.left:
            self._wake()

    def hurry(self) -> None:
        """End the current wait, or the next one if there is none."""
        self._is_hurried = True
        self._wake()

    async def wait(self, seconds: float, clock: IReactorTime) -> None:
        """Wait until all connections are closed, the time has passed, or :meth:`hurry` is called.

        :param seconds: the timeout.
        """
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
