"""Many operations with one system call: io_uring(7), as far as the fast lane needs it.

What the kernel is to do is an entry in memory that it shares with the process, and so is what came
of it. One ring holds which entries are next, another one the results. Here every operation must be
one that does not wait: it is done or refused before the call returns, and nothing is ever under
way between two calls.

The C library has no functions for these calls, so they go by syscall(2), with numbers that are the
same on all architectures but MIPS and Alpha, which have nothing there.
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
"""``struct io_uring_sqe``: operation, descriptor, offset, address, length, flags, own number."""

SEND, RECEIVE = 26, 27
"""``IORING_OP_SEND``, ``IORING_OP_RECV``: send(2), recv(2)."""

_SETUP, _ENTER = 425, 426
_NEEDED_FEATURES = 1 | 2 | 32
"""Both rings in one mapping, results that are never dropped, Linux 5.7 with both operations."""

_RINGS, _ENTRIES = 0, 0x10000000
"""Where in the descriptor they lie, to be mapped."""

_RESULT_SIZE = 16
_NUMBER, _RESULT = (0 if sys.byteorder == "little" else 1), 2
"""``struct io_uring_cqe``: how long, and which 32 bits say what was done and what came of it."""

_WORD = 0xFFFFFFFF


class _Ring(ctypes.Structure):
    """``struct io_sqring_offsets``, ``struct io_cqring_offsets``: where in its mapping a ring is.

    They differ in two words: ``entries`` and ``results`` are where each begins.
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
    """Entries to be prepared by the user, and to be done in any order, again and again.

    All is done in one thread and between system calls, so that no memory barriers are needed.

    :param length: how many entries; a power of 2.
    :ivar entries: their memory; :data:`ENTRY` packs one, with its number from 0 as the last word.
    :ivar error: why the last call did less than it should, as errno(3) has it.
    :raise OSError: if the system has no io_uring, or not for this process: Linux before 5.7, sysctl
        kernel.io_uring_disabled, a seccomp filter such as Docker's, too many open files.
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
        """Do what these entries say, in this order, and return the results.

        :param operations: the numbers of entries, in format ``I``; as many as there are, at most.
        :return: what the system calls would return, or ``-errno``. There are fewer if the system
            did not come to the last ones, for want of memory above all: those were not done.
        :raise RuntimeError: if an operation waits after all; the others were done.
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
        return self._take(operations[:done].tolist())

    def close(self) -> None:
        """Give the descriptor back; the memory, with two more of them, goes with this object."""
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

    def _take(self, operations: list[int]) -> list[int]:
        """Take the results of these operations, in their order.

        Until Linux 6.2 the kernel's own order is another one where something was refused.
        """
        count = len(operations)
        if (self._words[self._ready] - self._completed) & _WORD != count:
            message = "io_uring(7): an operation waits that should not"
            raise RuntimeError(message)
        start = self._completed % len(self._results)
        numbers, results = (_round(ring, start, count) for ring in (self._numbers, self._results))
        self._completed = self._words[self._seen] = (self._completed + count) & _WORD
        if numbers != operations:
            by_number = dict(zip(numbers, results, strict=True))
            results = [by_number[number] for number in operations]
        return results


def _round(ring: memoryview, start: int, count: int) -> list[int]:
    """Return so many words of a ring, which goes on at its beginning."""
    words: list[int] = ring[start : start + count].tolist()
    return words + ring[: count - len(words)].tolist()
