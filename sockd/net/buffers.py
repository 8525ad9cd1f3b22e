"""Memory for many messages, each at a place of its own, that system calls fill and send from."""

from __future__ import annotations

import ctypes
import mmap

_STAGGER = 17 * 64
"""How much farther the places are apart than they are long: at distances of a power of 2 the
processor would keep them all in the same few lines of its caches."""


class Buffers:
    """So many places of so many bytes; memory is taken only where something was written.

    :param size: in bytes; a power of 2.
    """

    def __init__(self, count: int, size: int) -> None:
        self._distance = size + _STAGGER
        self._memory = mmap.mmap(-1, count * self._distance)
        self._address = memory_address(self._memory)

    def address(self, index: int) -> int:
        """Return where a place begins."""
        return self._address + index * self._distance

    def data(self, index: int, start: int, end: int) -> bytes:
        """Return what lies in a place, from one byte to another."""
        begin = index * self._distance
        return self._memory[begin + start : begin + end]


def memory_address(memory: bytearray | mmap.mmap) -> int:
    """Return where memory begins, for system calls; it must not go away or move meanwhile."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
