"""Buffers for many messages, at fixed addresses for system calls."""

from __future__ import annotations

import ctypes
import mmap

_STAGGER = 17 * 64
"""The gap between two buffers, in bytes. Without it the distance would be a power of 2, and all
buffers would compete for the same few cache lines."""


class Buffers:
    """Buffers of equal size; the kernel allocates a page when it is first written to.

    :param count: the number of buffers.
    :param size: the size of each, in bytes; a power of 2.
    """

    def __init__(self, count: int, size: int) -> None:
        self._distance = size + _STAGGER
        self._memory = mmap.mmap(-1, count * self._distance)
        self._address = memory_address(self._memory)

    def address(self, index: int) -> int:
        """Return the memory address of a buffer."""
        return self._address + index * self._distance

    def data(self, index: int, start: int, end: int) -> bytes:
        """Return the bytes of a buffer from offset ``start`` up to ``end``."""
        begin = index * self._distance
        return self._memory[begin + start : begin + end]


def memory_address(memory: bytearray | mmap.mmap) -> int:
    """Return the address of memory, for system calls; the object must outlive its use."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
