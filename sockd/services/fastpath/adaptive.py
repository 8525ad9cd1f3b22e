"""The choice of the fastest echoer: for few sockets, for many, or for large messages."""

from __future__ import annotations

from contextlib import suppress

from zope.interface import implementer

from sockd.services.fastpath.echoer import IEchoer, ReadWriteEchoer
from sockd.services.fastpath.ring import IoUringEchoer
from sockd.services.fastpath.splice import SpliceEchoer

MANY = 10
"""The number of sockets from which the echoer for many sockets is faster."""

SETTLED = 16
"""After this many consecutive calls in which every socket had data, connections are considered
stable."""

LARGE = 16384
"""The mean message size, in bytes, from which the echoer for large messages is faster."""

SEVERAL = 2
"""The minimum number of sockets for the echoer for large messages. With a single socket it is fast
enough to find each message only partly received."""


@implementer(IEchoer)
class AdaptiveEchoer:
    """An echoer that delegates each call to one of three, according to the previous calls.

    While connections are opened and closed, the code of io_uring(7) is evicted from the processor's
    caches, and the usual echoer is faster.
    """

    def __init__(self, usual: IEchoer, many: IEchoer, large: IEchoer) -> None:
        self._usual = self._last = usual
        self._many = many
        self._large = large
        self._settled_calls = SETTLED
        self._are_large = False

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Echo with the echoer that is expected to be the fastest."""
        count = len(descriptors)
        if self._are_large and count >= SEVERAL:
            self._last = self._large
        elif count >= MANY and self._settled_calls >= SETTLED:
            self._last = self._many
        else:
            self._last = self._usual
        received, sent = self._last.echo(descriptors)
        all_had_data = min(received) > 0
        self._settled_calls = self._settled_calls + 1 if all_had_data else 0
        self._are_large = all_had_data and sum(received) >= LARGE * count
        return received, sent

    def unsent(self, index: int) -> bytes:
        """Return the unsent bytes from the echoer of the last call."""
        rest: bytes = self._last.unsent(index)
        return rest

    def close(self) -> None:
        """Close all three."""
        for each in {self._usual, self._many, self._large}:
            each.close()


def best_echoer(may_use_io_uring: bool) -> IEchoer:
    """Return an adaptive echoer of those that the system supports.

    :param may_use_io_uring: whether io_uring(7) may be used.
    """
    usual: IEchoer = ReadWriteEchoer()
    many = large = usual
    if may_use_io_uring:
        with suppress(OSError):
            many = IoUringEchoer()
    with suppress(ImportError, OSError):
        large = SpliceEchoer()
    return AdaptiveEchoer(usual, many, large)
