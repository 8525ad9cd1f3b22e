"""An echoer that makes two system calls for many messages: one for all reads, one for all writes.

Each socket of a call has its own buffer. Data is read into it and written from it, and never
becomes a Python object.
"""

from __future__ import annotations

import socket
from array import array
from errno import EAGAIN

from zope.interface import implementer

from sockd.net.buffers import Buffers
from sockd.services.fastpath.echoer import LATER, MOST_SOCKETS, READ_SIZE, IEchoer
from sockd.services.fastpath.io_uring import ENTRY, RECEIVE, SEND, IoUring

_READS = memoryview(array("I", range(MOST_SOCKETS)))
_WRITES = memoryview(array("I", range(MOST_SOCKETS, 2 * MOST_SOCKETS)))
"""The numbers of the entries: a read for each buffer, then a write for each."""

_NOWHERE = -1
_STEP = ENTRY.size // 4
_DESCRIPTOR, _LENGTH = 1, 6
"""The positions of these fields in an entry, in 32-bit words."""


@implementer(IEchoer)
class IoUringEchoer:
    """The echoer for many sockets, with io_uring(7).

    :raise OSError: if io_uring is not available to this process.
    """

    def __init__(self) -> None:
        self._buffers = Buffers(MOST_SOCKETS, READ_SIZE)
        self._uring = IoUring(2 * MOST_SOCKETS)
        self._prepare()
        words = memoryview(self._uring.entries).cast("i")
        descriptors, lengths = words[_DESCRIPTOR::_STEP], words[_LENGTH::_STEP]
        self._read_from, self._write_to = descriptors[:MOST_SOCKETS], descriptors[MOST_SOCKETS:]
        self._write_lengths = lengths[MOST_SOCKETS:]
        self._received: list[int] = []
        self._sent: list[int] = []

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Read from all sockets, then write to those that had data."""
        count = len(descriptors)
        self._read_from[:count] = self._write_to[:count] = memoryview(array("i", descriptors))
        received = self._uring.do(_READS[:count])
        if not received:
            message = "io_uring_enter(2) performed no operation"
            raise OSError(self._uring.error, message)
        received += [-EAGAIN] * (count - len(received))
        self._write_lengths[:count] = memoryview(array("i", received))
        self._received, self._sent = received, self._write(received)
        return self._received, self._sent

    def unsent(self, index: int) -> bytes:
        """Return the part of a buffer that was not written."""
        size, sent = self._received[index], self._sent[index]
        if size < 0 or (sent < 0 and sent not in LATER):
            return b""
        return self._buffers.data(index, max(sent, 0), size)

    def close(self) -> None:
        """Close the ring."""
        self._uring.close()

    def _prepare(self) -> None:
        """Fill in all entries, except for the sockets and the lengths of the writes."""
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        for numbers, operation in ((_READS, RECEIVE), (_WRITES, SEND)):
            for index, number in enumerate(numbers):
                address = self._buffers.address(index)
                entry = (operation, _NOWHERE, 0, address, READ_SIZE, flags, number)
                ENTRY.pack_into(self._uring.entries, number * ENTRY.size, *entry)

    def _write(self, received: list[int]) -> list[int]:
        """Write the contents of the buffers; return a result for each.

        Writes that the kernel did not perform count as ``EAGAIN``.
        """
        if min(received) > 0:
            sent = self._uring.do(_WRITES[: len(received)])
            return sent + [-EAGAIN] * (len(received) - len(sent))
        sent = [-EAGAIN if size > 0 else 0 for size in received]
        buffers = [index for index, size in enumerate(received) if size > 0]
        entries = memoryview(array("I", [MOST_SOCKETS + index for index in buffers]))
        for index, result in zip(buffers, self._uring.do(entries), strict=False):
            sent[index] = result
        return sent
