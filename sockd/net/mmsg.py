"""Many datagrams with one system call: recvmmsg(2) and sendmmsg(2), called through ctypes.

Datagrams and the addresses of their senders are received into buffers of a fixed size. Echoed
datagrams are sent from the same buffers and never become Python objects.
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
"""The maximum number of datagrams in a batch."""

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
"""The offset of the low 32 bits of a vector's length, the only ones in use."""


class Batch:
    """A reusable batch of datagrams.

    :ivar count: the number of datagrams in it.
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
        _set_pointers(headers, vectors, memory_address(self._names), self._buffers)
        self._sizes = _column(headers, _Header.size.offset, ctypes.sizeof(_Header))
        self._room = _column(vectors, _LOW_WORD, ctypes.sizeof(_Vector))
        self._all_room = memoryview(bytes(self._room)).cast("I")
        self.count = 0

    def receive(self, descriptor: int) -> int:
        """Receive up to :data:`MOST_DATAGRAMS` datagrams from a socket; return their number."""
        self._room[: self.count] = self._all_room[: self.count]
        count = self._receive(descriptor, self._first, MOST_DATAGRAMS, socket.MSG_DONTWAIT, None)
        self.count = max(0, count)
        return self.count

    def senders(self) -> tuple[bytes, ...]:
        """Return the address of each datagram's sender, in the kernel's form."""
        return _ADDRESSES[self.count].unpack_from(self._names)

    def sizes(self) -> list[int]:
        """Return the length of each datagram, in bytes."""
        return self._sizes[: self.count].tolist()

    def data(self, index: int) -> bytes:
        """Return a datagram."""
        return self._buffers.data(index, 0, self._sizes[index])

    def send_back(self, descriptor: int, count: int) -> list[int]:
        """Send the first ``count`` datagrams back to their senders.

        :return: the indexes of datagrams that could not be sent.
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
    """Return an address from :meth:`Batch.senders` in the form of Python's sockets."""
    if int.from_bytes(name[:2], sys.byteorder) == socket.AF_INET:
        port, host = _IPV4.unpack(name)
        return socket.inet_ntop(socket.AF_INET, host), port
    port, flow, host = _IPV6.unpack(name)
    (scope,) = _SCOPE.unpack(name)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


def kernel_name(address: SocketAddress) -> bytes:
    """Return an address of Python's sockets in the form of :meth:`Batch.senders`."""
    if len(address) == 2:
        host, port = address
        family = socket.AF_INET
        name = _IPV4.pack(port, socket.inet_pton(family, host))
    else:
        host, port, flow, scope = address
        family = socket.AF_INET6
        name = _IPV6.pack(port, flow, socket.inet_pton(family, host))[:24] + _SCOPE.pack(scope)[24:]
    return family.to_bytes(2, sys.byteorder) + name[2:]


def _column(memory: bytearray, offset: int, step: int) -> memoryview:
    """Return a 32-bit field of all structures in an array of them.

    :param offset: of the field in the structure, in bytes.
    :param step: the size of the structure, in bytes.
    """
    return memoryview(memory).cast("I")[offset // 4 :: step // 4]


def _set_pointers(headers: bytearray, vectors: bytearray, names: int, buffers: Buffers) -> None:
    """Set the pointers of each header to its address and vector, and of each vector to its buffer.

    :param names: the memory address of the senders' addresses.
    """
    for index in range(MOST_DATAGRAMS):
        vector = _Vector.from_buffer(vectors, index * ctypes.sizeof(_Vector))
        vector.base, vector.length = buffers.address(index), _LARGEST
        message = _Header.from_buffer(headers, index * ctypes.sizeof(_Header)).message
        message.name, message.name_length = names + index * _ADDRESS_SIZE, _ADDRESS_SIZE
        message.vectors, message.vector_count = ctypes.addressof(vector), 1
