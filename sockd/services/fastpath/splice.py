"""An echoer that copies nothing: what a socket has received goes through a pipe back into it.

The kernel passes on the pages in which the bytes lie, with splice(2). That is more work than to
copy a short message, and much less than to copy a long one.
"""

from __future__ import annotations

import os
from errno import EAGAIN

from zope.interface import implementer

from sockd.services.fastpath.echoer import LATER, READ_SIZE, IEchoer, broken_off

PIPE_SIZE = 4 * READ_SIZE
"""A pipe has a slot for each 4 KiB, and a piece of a message takes one, however short it is: so
there is room for a whole read in the pieces in which Ethernet brings it."""

NOTHING = (0, -EAGAIN)
"""What splice(2) says not only at the end, or of a socket that has nothing, but also before urgent
data (TCP's, RFC 6093), whatever comes after that."""


@implementer(IEchoer)
class SpliceEchoer:
    """The echoer for large messages. Between two messages its pipe is empty.

    :raise ImportError: if this is not Linux, or an implementation of Python without splice(2).
    :raise OSError: if there is no room for such a pipe (pipe(7) has the limits for users), or if a
        filter of system calls (seccomp(2)) keeps splice(2) away.
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
        """Pass on what each socket has, as much as the pipe takes at once."""
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
                got, put = broken_off(got, error)
            if got in NOTHING:
                got, put = self._read(index, descriptor)
            elif got > 0 and put < got:
                self._take_out(index, put)
            received.append(got)
            sent.append(put)
        return received, sent

    def unsent(self, index: int) -> bytes:
        """Return what was taken out of the pipe again, or never went into it."""
        return self._unsent.get(index, b"")

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._outlet)
        os.close(self._inlet)

    def _read(self, index: int, descriptor: int) -> tuple[int, int]:
        """Look again where there seems to be nothing, and leave it to others to write what is."""
        try:
            data = os.read(descriptor, READ_SIZE)
        except OSError as error:
            return broken_off(0, error)
        if not data:
            return 0, 0
        self._unsent[index] = data
        return len(data), -EAGAIN

    def _take_out(self, index: int, put: int) -> None:
        """Empty the pipe of what the kernel did not take, and keep it if it may take it later."""
        rest = os.read(self._outlet, READ_SIZE)
        if put >= 0 or put in LATER:
            self._unsent[index] = rest
