"""Hands input on a line at a time, with a pause after each: nobody holds the daemon up with many.

What a viewer types or pipes in goes through here; the commands of the shell are quick, but a pasted
book of them is not. While the client does not read the answers, no further question is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

PAUSE = 0.05
"""How long the next line waits after one, in seconds."""

MAX_PENDING = 64 * 1024
"""How many bytes may wait."""

_PIECE = 256
"""How many bytes are handed on at once, where no line ends among them."""

_LINE_END = re.compile(rb"\r\n?|\n")


class InputPacer:
    """Between a client and what runs its lines.

    :param feed: takes input that ends with a line, or holds none.
    :param is_congested: whether the answers pile up.
    :param overflow: called when too much waits; nothing is handed on any more.
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
        """Take input."""
        if self._is_closed:
            return
        if len(self._waiting) + len(data) > MAX_PENDING:
            self.close()
            self._overflow()
            return
        self._waiting += data
        self._go_on()

    def end(self, then: Callable[[], None]) -> None:
        """Take note that there is no more input; call when all of it is handed on."""
        if not self._is_closed:
            self._at_end = then
            self._go_on()

    def close(self) -> None:
        """Forget what waits."""
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
            self._hand_on()
        elif self._at_end is not None:
            then = self._at_end
            self.close()
            then()

    def _hand_on(self) -> None:
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
