"""The interface of the fast path's echoers, and the portable one.

:class:`ReadWriteEchoer` makes two system calls for each message and copies it. Beside this module,
``ring`` makes two calls for many messages, ``splice`` copies nothing, and ``adaptive`` chooses.
"""

from __future__ import annotations

from errno import EAGAIN, EINTR, EIO
from os import read, write

from zope.interface import Interface, implementer

READ_SIZE = 65536
"""How many bytes one read may bring, the same as in Twisted."""

MOST_SOCKETS = 64
"""How many sockets an echoer may be given at once."""

LATER = (-EAGAIN, -EINTR)
"""Results that are no error: nothing to read, or no room to write to, at the moment."""


class IEchoer(Interface):
    """Sends back what sockets have received, and never waits."""

    def echo(descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read from each socket once, and write to it what was read.

        :param descriptors: at most :data:`MOST_SOCKETS`.
        :return: the results of the reads and of the writes, in the same order: a number of bytes,
            or ``-errno`` (errno(3)). A read of 0 is the end of what the peer says. Where nothing
            was read, the write is 0.
        :raise OSError: if nothing could be read from any of them, for no fault of theirs.
            After any other exception nobody knows what was.
        """

    def unsent(index: int) -> bytes:
        """Return what the last call read from one of its sockets and may still be written.

        There is nothing where nothing was read, where all was written, or where the write failed
        for good.
        """

    def close() -> None:
        """Give back what it holds of the system."""


@implementer(IEchoer)
class ReadWriteEchoer:
    """An echoer that serves one socket after the other: read(2), write(2)."""

    def __init__(self) -> None:
        self._unsent: dict[int, bytes] = {}

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read and write, socket by socket; keep only what could not be written."""
        self._unsent.clear()
        received, sent = [], []
        for index, descriptor in enumerate(descriptors):
            data = b""
            got = put = 0
            try:
                data = read(descriptor, READ_SIZE)
                got = len(data)
                if got:
                    put = write(descriptor, data)
            except OSError as error:
                got, put = broken_off(got, error)
            if data and (0 <= put < got or put in LATER):
                self._unsent[index] = data[max(put, 0) :]
            received.append(got)
            sent.append(put)
        return received, sent

    def unsent(self, index: int) -> bytes:
        """Return what was kept of a socket."""
        return self._unsent.get(index, b"")

    def close(self) -> None:
        """Do nothing: it holds nothing."""


def broken_off(received: int, error: OSError) -> tuple[int, int]:
    """Return the results of a read and a write of which the last one has failed.

    :param received: how many bytes were read; 0 if it was the read that failed.
    """
    result = -(error.errno or EIO)
    return (received, result) if received else (result, 0)
