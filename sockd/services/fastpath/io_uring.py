"""Many operations with one system call: the part of io_uring(7) that the fast path needs.

The process and the kernel share memory with entries, which describe the operations, and with two
rings: the submission ring lists the entries that are next, the completion ring holds the results.
Only operations that do not block are used here. Each one has completed or failed when the system
call returns, and none is pending between two calls.

The C library has no functions for these system calls, so syscall(2) is used. The numbers are the
same on all architectures except MIPS and Alpha, where they are not assigned.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Callable
from errno import ENOSYS

ENTRY = struct.Struct("=BxxxiQQIIQ24x")
"""``struct io_uring_sqe``: operation, descriptor, offset, address, length, flags, user data."""

SEND, RECEIVE = 26, 27
"""``IORING_OP_SEND``, ``IORING_OP_RECV``: send(2), recv(2)."""

_SETUP, _ENTER = 425, 426
_NEEDED_FEATURES = 1 | 2 | 32
"""``IORING_FEAT_SINGLE_MMAP``, ``IORING_FEAT_NODROP`` and ``IORING_FEAT_FAST_POLL`` (Linux 5.7)."""

_RINGS, _ENTRIES = 0, 0x10000000
"""The offsets for mmap(2): ``IORING_OFF_SQ_RING``, ``IORING_OFF_SQES``."""

_RESULT_SIZE = 16
_NUMBER, _RESULT = (0 if sys.byteorder == "little" else 1), 2
"""``struct io_uring_cqe``: its size, and the positions of the user data and the result in 32-bit
words."""

_WORD = 0xFFFFFFFF


class _Ring(ctypes.Structure):
    """``struct io_sqring_offsets`` and ``struct io_cqring_offsets``.

    They differ in the field with the start of the array: ``entries`` in the first, ``results`` in
    the second.
    """

    _fields_ = (
        ("head", ctypes.c_uint32),
        ("tail", ctypes.c_uint32),
        ("mask", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("results", ctypes.c_uint32),
        ("entries", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


class _Parameters(ctypes.Structure):
    """``struct io_uring_params``."""

    _fields_ = (
        ("submissions", ctypes.c_uint32),
        ("completions", ctypes.c_uint32),
        ("flags", ctypes.c_uint32 * 3),
        ("features", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 4),
        ("submission_ring", _Ring),
        ("completion_ring", _Ring),
    )


class IoUring:
    """An io_uring(7) instance whose entries are prepared once and submitted repeatedly.

    One thread uses the rings, and only between system calls, so no memory barriers are needed.

    :param length: the number of entries; a power of 2.
    :ivar entries: the memory of the entries. :data:`ENTRY` packs one; its user data is its number,
        counted from 0.
    :ivar error: the errno(3) of the last system call that submitted fewer entries than requested.
    :raise OSError: if io_uring is not available to this process: Linux before 5.7, the sysctl
        ``kernel.io_uring_disabled``, a seccomp filter such as Docker's, too many open files.
    """

    def __init__(self, length: int) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        setup, enter = library["syscall"], library["syscall"]
        setup.argtypes = (ctypes.c_long, ctypes.c_uint, ctypes.c_void_p)
        descriptor_and_counts = (ctypes.c_int, *[ctypes.c_uint] * 3)
        no_signals = (ctypes.c_void_p, ctypes.c_size_t)
        enter.argtypes = (ctypes.c_long, *descriptor_and_counts, *no_signals)
        self._enter: Callable[..., int] = enter
        made = _Parameters()
        self._descriptor: int = setup(_SETUP, length, ctypes.byref(made))
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            self._map(made)
        except OSError:
            self.close()
            raise
        self._submitted = self._completed = 0
        self.error = 0

    def do(self, operations: memoryview) -> list[int]:
        """Perform operations in order and return their results.

        :param operations: the numbers of entries, in format ``I``; at most the number of entries.
        :return: what the system calls would return, or ``-errno``. There are fewer results than
            operations if the kernel did not perform the last ones, usually for lack of memory.
        :raise RuntimeError: if an operation is still pending; the others were performed.
        """
        count, start = len(operations), self._submitted % len(self._order)
        room = len(self._order) - start
        self._order[start : start + count] = operations[:room]
        if count > room:
            self._order[: count - room] = operations[room:]
        self._words[self._tail] = (self._submitted + count) & _WORD
        done = self._enter(_ENTER, self._descriptor, count, 0, 0, None, 0)
        if done < count:
            self.error, done = ctypes.get_errno(), max(done, 0)
        self._submitted = self._words[self._tail] = (self._submitted + done) & _WORD
        return self._pop_results(operations[:done].tolist())

    def close(self) -> None:
        """Close the descriptor; the mappings hold two more until this object is freed."""
        os.close(self._descriptor)

    def _map(self, made: _Parameters) -> None:
        if made.features & _NEEDED_FEATURES != _NEEDED_FEATURES:
            raise OSError(ENOSYS, os.strerror(ENOSYS))
        submission, completion = made.submission_ring, made.completion_ring
        size = max(
            submission.entries + 4 * made.submissions,
            completion.results + _RESULT_SIZE * made.completions,
        )
        self.entries = mmap.mmap(self._descriptor, ENTRY.size * made.submissions, offset=_ENTRIES)
        rings = memoryview(mmap.mmap(self._descriptor, size, offset=_RINGS))
        self._words = rings.cast("I")
        self._tail, self._seen = submission.tail // 4, completion.head // 4
        self._ready = completion.tail // 4
        self._order = self._words[submission.entries // 4 :][: made.submissions]
        results = rings.cast("i")[completion.results // 4 :][: 4 * made.completions]
        self._numbers, self._results = results[_NUMBER::4], results[_RESULT::4]

    def _pop_results(self, operations: list[int]) -> list[int]:
        """Remove the results of these operations from the ring; return them in the same order.

        Until Linux 6.2 the kernel reports them in another order if an operation failed.
        """
        count = len(operations)
        if (self._words[self._ready] - self._completed) & _WORD != count:
            message = "io_uring(7): an operation is still pending"
            raise RuntimeError(message)
        start = self._completed % len(self._results)
        numbers, results = (_words(ring, start, count) for ring in (self._numbers, self._results))
        self._completed = self._words[self._seen] = (self._completed + count) & _WORD
        if numbers != operations:
            by_number = dict(zip(numbers, results, strict=True))
            results = [by_number[number] for number in operations]
        return results


def _words(ring: memoryview, start: int, count: int) -> list[int]:
    """Return words of a ring, continuing at its beginning after its end."""
    words: list[int] = ring[start : start + count].tolist()
    return words + ring[: count - len(words)].tolist()
