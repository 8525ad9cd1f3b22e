"""A pacer of a viewer's input: one line at a time, with a pause after each.

A single command is fast, but thousands of pasted lines would block the reactor. Input also waits
while the client does not read the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

PAUSE = 0.05
"""The pause between two lines, in seconds."""

MAX_PENDING = 64 * 1024
"""The maximum number of bytes that wait."""

_PIECE = 256
"""The number of bytes that are passed on at once if they contain no line end."""

_LINE_END = re.compile(rb"\r\n?|\n")


class InputPacer:
    """A bounded input queue between a client and the code that runs its lines.

    :param feed: called with one line, or a piece of a long line.
    :param is_congested: returns whether the client reads too slowly.
    :param overflow: called when too much input waits. After it, all input is discarded.
    """

    def __init__(
        self,
        clock: IReactorTime,
        feed: Callable[[bytes], None],
        is_congested: Callable[[], bool],
        overflow: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._feed = feed
        self._is_congested = is_congested
        self._overflow = overflow
        self._waiting = b""
        self._timer: IDelayedCall | None = None
        self._at_end: Callable[[], None] | None = None
        self._is_closed = False

    def write(self, data: bytes) -> None:
        """Add input to the queue."""
        if self._is_closed:
            return
        if len(self._waiting) + len(data) > MAX_PENDING:
            self.close()
            self._overflow()
            return
        self._waiting += data
        self._go_on()

    def end(self, then: Callable[[], None]) -> None:
        """Mark the end of the input.

        :param then: called when all input has been passed on.
        """
        if not self._is_closed:
            self._at_end = then
            self._go_on()

    def close(self) -> None:
        """Discard the queue and all further input."""
        self._is_closed = True
        self._waiting = b""
        self._at_end = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        if self._timer is not None:
            return
        if self._waiting and self._is_congested():
            self._pause()
        elif self._waiting:
            self._pass_on()
        elif self._at_end is not None:
            then = self._at_end
            self.close()
            then()

    def _pass_on(self) -> None:
        found = _LINE_END.search(self._waiting, 0, _PIECE)
        size = found.end() if found else _PIECE
        piece, self._waiting = self._waiting[:size], self._waiting[size:]
        if found or self._waiting:
            self._pause()
        self._feed(piece)
        if self._at_end is not None:
            self._go_on()

    def _pause(self) -> None:
        self._timer = self._clock.callLater(PAUSE, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._go_on()
