"""How the fast lane reads and writes: what an echoer does, and one that needs nothing special.

That one makes two system calls for a message. :mod:`sockd.kinds.ring` makes two for many messages,
which pays where there are many.
"""

from __future__ import annotations

from errno import EAGAIN, EINTR, EIO
from os import read, write

from zope.interface import Interface, implementer

READ_SIZE = 65536
"""How many bytes one read may bring, the same as in Twisted."""

PLACES = 64
"""How many sockets an echoer may be given at once."""

MANY = 10
"""From here on it pays to serve them all at once."""

SETTLED = 16
"""After so many calls in a row to which everybody had something to say, connections no longer come
and go."""

LATER = (-EAGAIN, -EINTR)
"""Results that are no error: nothing to read, or no room to write to, at the moment."""


class IEchoer(Interface):
    """Sends back what sockets have received, and never waits."""

    def echo(descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read from each socket once, and write to it what was read.

        :param descriptors: at most :data:`PLACES`.
        :return: the results of the reads and of the writes, in the same order: a number of bytes,
            or ``-errno`` (errno(3)). A read of 0 is the end of what the peer says. Where nothing
            was read, the write is 0.
        :raise OSError: if nothing could be read from any of them, for no fault of theirs.
        """

    def unsent(place: int) -> bytes:
        """Return what the last call read from one of its sockets and may still be written.

        There is nothing where nothing was read, where all was written, or where the write failed
        for good.
        """

    def close() -> None:
        """Give back what it holds of the system."""


@implementer(IEchoer)
class OneByOne:
    """An echoer that serves one socket after the other: read(2), write(2)."""

    def __init__(self) -> None:
        self._unsent: dict[int, bytes] = {}

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read and write, socket by socket; keep only what could not be written."""
        self._unsent.clear()
        received, sent = [], []
        for place, descriptor in enumerate(descriptors):
            data = b""
            got = put = 0
            try:
                data = read(descriptor, READ_SIZE)
                got = len(data)
                if got:
                    put = write(descriptor, data)
            except OSError as error:
                result = -(error.errno or EIO)
                got, put = (got, result) if got else (result, 0)
            if data and (0 <= put < got or put in LATER):
                self._unsent[place] = data[max(put, 0) :]
            received.append(got)
            sent.append(put)
        return received, sent

    def unsent(self, place: int) -> bytes:
        """Return what was kept of a socket."""
        return self._unsent.get(place, b"")

    def close(self) -> None:
        """Do nothing: it holds nothing."""


@implementer(IEchoer)
class ByNumber:
    """An echoer that leaves few sockets to one echoer and many to another.

    While connections come and go, what that takes leaves the long way into the system cold in the
    processor's caches, so that all are left to the first one.
    """

    def __init__(self, few: IEchoer, many: IEchoer) -> None:
        self._few = self._last = few
        self._many = many
        self._settled_calls = SETTLED

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Have them served by the one that is faster."""
        are_many = len(descriptors) >= MANY and self._settled_calls >= SETTLED
        self._last = self._many if are_many else self._few
        received, sent = self._last.echo(descriptors)
        self._settled_calls = self._settled_calls + 1 if min(received) > 0 else 0
        return received, sent

    def unsent(self, place: int) -> bytes:
        """Return what the echoer of the last call has."""
        rest: bytes = self._last.unsent(place)
        return rest

    def close(self) -> None:
        """Close both."""
        self._few.close()
        self._many.close()
