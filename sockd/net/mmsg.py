"""Many datagrams with one system call: recvmmsg(2) and sendmmsg(2), by way of the C library.

Datagrams are received into places of a fixed size, each with the address of its sender. Those
that are sent back are sent from where they lie: neither the bytes nor the addresses are looked at.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
import sys

from sockd.net.buffers import Buffers, memory_address

HAS_RECVMMSG = sys.platform == "linux"

MOST_DATAGRAMS = 32
"""How many datagrams there is room for."""

_LARGEST = 65536
_ADDRESS_SIZE = 28
_ADDRESSES = [struct.Struct(f"{_ADDRESS_SIZE}s" * count) for count in range(MOST_DATAGRAMS + 1)]
_IPV4 = struct.Struct("!2xH4s20x")
_IPV6 = struct.Struct("!2xHI16s4x")
_SCOPE = struct.Struct("@24xI")

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class _Vector(ctypes.Structure):
    """``struct iovec`` (readv(2))."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """``struct msghdr`` (recvmsg(2))."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """``struct mmsghdr``."""

    _fields_ = (("message", _Message), ("size", ctypes.c_uint))


_LOW_WORD = _Vector.length.offset + (0 if sys.byteorder == "little" else 4)
"""Where the part of a vector's length is that changes, and that is like a header's size."""


class Batch:
    """Places for datagrams, filled again and again.

    :ivar count: how many datagrams there are now.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._receive, self._send = library.recvmmsg, library.sendmmsg
        self._send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._receive.argtypes = (*self._send.argtypes, ctypes.c_void_p)
        self._buffers = Buffers(MOST_DATAGRAMS, _LARGEST)
        self._names = mmap.mmap(-1, MOST_DATAGRAMS * _ADDRESS_SIZE)
        vectors = bytearray(MOST_DATAGRAMS * ctypes.sizeof(_Vector))
        headers = bytearray(MOST_DATAGRAMS * ctypes.sizeof(_Header))
        self._first = memory_address(headers)
        _connect(headers, vectors, memory_address(self._names), self._buffers)
        self._sizes = _words(headers, _Header.size.offset, ctypes.sizeof(_Header))
        self._room = _words(vectors, _LOW_WORD, ctypes.sizeof(_Vector))
        self._all_room = memoryview(bytes(self._room)).cast("I")
        self.count = 0

    def receive(self, descriptor: int) -> int:
        """Take what has arrived at a socket; return how many datagrams that is."""
        self._room[: self.count] = self._all_room[: self.count]
        taken = self._receive(descriptor, self._first, MOST_DATAGRAMS, socket.MSG_DONTWAIT, None)
        self.count = max(0, taken)
        return self.count

    def senders(self) -> tuple[bytes, ...]:
        """Return the address of each datagram's sender, as the kernel has it."""
        return _ADDRESSES[self.count].unpack_from(self._names)

    def sizes(self) -> list[int]:
        """Return the length of each datagram, in bytes."""
        return self._sizes[: self.count].tolist()

    def data(self, index: int) -> bytes:
        """Return a datagram."""
        return self._buffers.data(index, 0, self._sizes[index])

    def send_back(self, descriptor: int, count: int) -> list[int]:
        """Send the first so many datagrams to where they came from.

        :return: the places of those that the system did not take.
        """
        self._room[:count] = self._sizes[:count]
        failed = []
        index = 0
        while index < count:
            header = self._first + index * ctypes.sizeof(_Header)
            sent = self._send(descriptor, header, count - index, socket.MSG_DONTWAIT)
            if sent < 1:
                failed.append(index)
            index += max(1, sent)
        return failed


def socket_address(name: bytes) -> SocketAddress:
    """Return what Python's sockets call an address that :meth:`Batch.senders` returned."""
    if int.from_bytes(name[:2], sys.byteorder) == socket.AF_INET:
        port, host = _IPV4.unpack(name)
        return socket.inet_ntop(socket.AF_INET, host), port
    port, flow, host = _IPV6.unpack(name)
    (scope,) = _SCOPE.unpack(name)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


def kernel_name(address: SocketAddress) -> bytes:
    """Return the address for which :func:`socket_address` returns this one."""
    if len(address) == 2:
        host, port = address
        family = socket.AF_INET
        name = _IPV4.pack(port, socket.inet_pton(family, host))
    else:
        host, port, flow, scope = address
        family = socket.AF_INET6
        name = _IPV6.pack(port, flow, socket.inet_pton(family, host))[:24] + _SCOPE.pack(scope)[24:]
    return family.to_bytes(2, sys.byteorder) + name[2:]


def _words(memory: bytearray, offset: int, step: int) -> memoryview:
    """Return the 32 bits at an offset, and those at each step from there on."""
    return memoryview(memory).cast("I")[offset // 4 :: step // 4]


def _connect(headers: bytearray, vectors: bytearray, names: int, buffers: Buffers) -> None:
    """Have each header point to its address and its vector, and each vector to its bytes."""
    for index in range(MOST_DATAGRAMS):
        vector = _Vector.from_buffer(vectors, index * ctypes.sizeof(_Vector))
        vector.base, vector.length = buffers.address(index), _LARGEST
        message = _Header.from_buffer(headers, index * ctypes.sizeof(_Header)).message
        message.name, message.name_length = names + index * _ADDRESS_SIZE, _ADDRESS_SIZE
        message.vectors, message.vector_count = ctypes.addressof(vector), 1
