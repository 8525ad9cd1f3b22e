"""An echoer that copies nothing: it moves input through a pipe back into the socket.

splice(2) moves pages instead of bytes. For short messages that costs more than copying, for long
messages much less.
"""

from __future__ import annotations

import os
from errno import EAGAIN

from zope.interface import implementer

from sockd.services.fastpath.echoer import LATER, READ_SIZE, IEchoer, failed_results

PIPE_SIZE = 4 * READ_SIZE
"""The capacity of the pipe, in bytes. A pipe has one slot for each 4 KiB, and each segment takes a
slot however short it is. This capacity holds a whole read in segments of Ethernet's size."""

NOTHING = (0, -EAGAIN)
"""Results of splice(2) at the end of the stream or without input, but also in front of TCP urgent
data (RFC 6093), even if more input follows."""


@implementer(IEchoer)
class SpliceEchoer:
    """The echoer for large messages. Its pipe is empty between two messages.

    :raise ImportError: if this is not Linux, or if Python was built without splice(2).
    :raise OSError: if the pipe cannot be enlarged (pipe(7) describes the limits for users), or if
        a seccomp(2) filter blocks splice(2).
    """

    def __init__(self) -> None:
        from fcntl import F_SETPIPE_SZ, fcntl
        from os import splice

        self._splice = splice
        self._outlet, self._inlet = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._unsent: dict[int, bytes] = {}
        try:
            fcntl(self._inlet, F_SETPIPE_SZ, PIPE_SIZE)
            splice(self._outlet, self._inlet, 0)
        except OSError:
            self.close()
            raise

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Move the input of each socket through the pipe, up to :data:`READ_SIZE` bytes."""
        self._unsent.clear()
        splice, at_once = self._splice, os.SPLICE_F_NONBLOCK
        received, sent = [], []
        for index, descriptor in enumerate(descriptors):
            got = put = 0
            try:
                got = splice(descriptor, self._inlet, READ_SIZE, flags=at_once)
                if got:
                    put = splice(self._outlet, descriptor, got, flags=at_once)
            except OSError as error:
                got, put = failed_results(got, error)
            if got in NOTHING:
                got, put = self._read(index, descriptor)
            elif got > 0 and put < got:
                self._empty_pipe(index, put)
            received.append(got)
            sent.append(put)
        return received, sent

    def unsent(self, index: int) -> bytes:
        """Return the bytes of a socket that could not be written."""
        return self._unsent.get(index, b"")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._outlet)
        os.close(self._inlet)

    def _read(self, index: int, descriptor: int) -> tuple[int, int]:
        """Read with read(2) where splice(2) found nothing; keep the data as unsent."""
        try:
            data = os.read(descriptor, READ_SIZE)
        except OSError as error:
            return failed_results(0, error)
        if not data:
            return 0, 0
        self._unsent[index] = data
        return len(data), -EAGAIN

    def _empty_pipe(self, index: int, put: int) -> None:
        """Empty the pipe; keep the bytes if they can still be written."""
        rest = os.read(self._outlet, READ_SIZE)
        if put >= 0 or put in LATER:
            self._unsent[index] = rest
