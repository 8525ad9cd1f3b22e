"""The interface of the fast path's echoers, and the portable one.

:class:`ReadWriteEchoer` makes two system calls for each message and copies it. The module ``ring``
makes two calls for many messages, ``splice`` copies nothing, and ``adaptive`` chooses.
"""

from __future__ import annotations

from errno import EAGAIN, EINTR, EIO
from os import read, write

from zope.interface import Interface, implementer

READ_SIZE = 65536
"""The maximum size of one read, in bytes, as in Twisted."""

MOST_SOCKETS = 64
"""The maximum number of sockets in one call of an echoer."""

LATER = (-EAGAIN, -EINTR)
"""Results that are not errors: at the moment nothing can be read, or nothing can be written."""


class IEchoer(Interface):
    """An object that sends back the input of sockets, without blocking."""

    def echo(descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read from each socket once, and write the data back.

        :param descriptors: at most :data:`MOST_SOCKETS`.
        :return: the results of the reads and of the writes, in the order of the descriptors: a
            number of bytes, or ``-errno`` (errno(3)). A read of 0 is the end of the stream. The
            write is 0 if nothing was read.
        :raise OSError: if nothing was read from any socket, for a reason that concerns none of
            them. After any other exception it is unknown what was read.
        """

    def unsent(index: int) -> bytes:
        """Return the bytes that the last call read from a socket and that are still to be written.

        The result is empty if nothing was read, if everything was written, or if the write failed
        permanently.

        :param index: the position of the socket in that call.
        """

    def close() -> None:
        """Release all system resources."""


@implementer(IEchoer)
class ReadWriteEchoer:
    """An echoer that serves one socket after the other, with read(2) and write(2)."""

    def __init__(self) -> None:
        self._unsent: dict[int, bytes] = {}

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read and write, one socket after the other."""
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
                got, put = failed_results(got, error)
            if data and (0 <= put < got or put in LATER):
                self._unsent[index] = data[max(put, 0) :]
            received.append(got)
            sent.append(put)
        return received, sent

    def unsent(self, index: int) -> bytes:
        """Return the bytes of a socket that could not be written."""
        return self._unsent.get(index, b"")

    def close(self) -> None:
        """Do nothing: it holds no resources."""


def failed_results(received: int, error: OSError) -> tuple[int, int]:
    """Return the results of a read and a write after one of them has failed.

    :param received: the number of bytes read; 0 if the read failed.
    """
    result = -(error.errno or EIO)
    return (received, result) if received else (result, 0)
