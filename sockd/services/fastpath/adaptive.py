"""Which echoer is the fastest: for few sockets, for many, or for large messages."""

from __future__ import annotations

from contextlib import suppress

from zope.interface import implementer

from sockd.services.fastpath.echoer import IEchoer, ReadWriteEchoer
from sockd.services.fastpath.ring import IoUringEchoer
from sockd.services.fastpath.splice import SpliceEchoer

MANY = 10
"""From here on it pays to serve them all at once."""

SETTLED = 16
"""After so many calls in a row to which everybody had something to say, connections no longer come
and go."""

LARGE = 16384
"""From this size on, in bytes, it pays not to copy messages."""

SEVERAL = 2
"""How many clients it takes: of a single one, who does not copy is so quick that he finds each
message in pieces."""


@implementer(IEchoer)
class AdaptiveEchoer:
    """An echoer that leaves each call to one of three, going by what the last calls brought.

    While connections come and go, what that takes leaves the long way into the system cold in the
    processor's caches, so that all are left to the usual one.
    """

    def __init__(self, usual: IEchoer, many: IEchoer, large: IEchoer) -> None:
        self._usual = self._last = usual
        self._many = many
        self._large = large
        self._settled_calls = SETTLED
        self._are_large = False

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Have them served by the one that is faster."""
        count = len(descriptors)
        if self._are_large and count >= SEVERAL:
            self._last = self._large
        elif count >= MANY and self._settled_calls >= SETTLED:
            self._last = self._many
        else:
            self._last = self._usual
        received, sent = self._last.echo(descriptors)
        all_spoke = min(received) > 0
        self._settled_calls = self._settled_calls + 1 if all_spoke else 0
        self._are_large = all_spoke and sum(received) >= LARGE * count
        return received, sent

    def unsent(self, index: int) -> bytes:
        """Return what the echoer of the last call has."""
        rest: bytes = self._last.unsent(index)
        return rest

    def close(self) -> None:
        """Close all of them."""
        for each in {self._usual, self._many, self._large}:
            each.close()


def best_echoer(may_use_io_uring: bool) -> IEchoer:
    """Return the fastest echoer that the system has, with what needs nothing special beneath it."""
    usual: IEchoer = ReadWriteEchoer()
    many = large = usual
    if may_use_io_uring:
        with suppress(OSError):
            many = IoUringEchoer()
    with suppress(ImportError, OSError):
        large = SpliceEchoer()
    return AdaptiveEchoer(usual, many, large)
