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

IS_AVAILABLE = sys.platform == "linux"

PLACES = 32
"""How many datagrams there is room for."""

_LARGEST = 65536
_ADDRESS_SIZE = 28
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


class Batch:
    """Places for datagrams, filled again and again.

    :ivar count: how many datagrams there are now.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._receive, self._send = library.recvmmsg, library.sendmmsg
        self._send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._receive.argtypes = (*self._send.argtypes, ctypes.c_void_p)
        self._data = mmap.mmap(-1, PLACES * _LARGEST)
        self._names = mmap.mmap(-1, PLACES * _ADDRESS_SIZE)
        vectors = bytearray(PLACES * ctypes.sizeof(_Vector))
        headers = bytearray(PLACES * ctypes.sizeof(_Header))
        self._first = _address(headers)
        _connect(headers, vectors, _address(self._names), _address(self._data))
        words = memoryview(headers).cast("I")
        self._sizes = words[_Header.size.offset // 4 :: ctypes.sizeof(_Header) // 4]
        self._room = memoryview(vectors).cast("L")[1::2]
        self.count = 0

    def receive(self, descriptor: int) -> int:
        """Take what has arrived at a socket; return how many datagrams that is."""
        for place in range(self.count):
            self._room[place] = _LARGEST
        taken = self._receive(descriptor, self._first, PLACES, socket.MSG_DONTWAIT, None)
        self.count = max(0, taken)
        return self.count

    def sender(self, place: int) -> bytes:
        """Return the address of a datagram's sender, as the kernel has it."""
        return self._names[place * _ADDRESS_SIZE : (place + 1) * _ADDRESS_SIZE]

    def size(self, place: int) -> int:
        """Return the length of a datagram, in bytes."""
        return self._sizes[place]

    def data(self, place: int) -> bytes:
        """Return a datagram."""
        start = place * _LARGEST
        return self._data[start : start + self._sizes[place]]

    def send_back(self, descriptor: int, count: int) -> list[int]:
        """Send the first so many datagrams to where they came from.

        :return: the places of those that the system did not take.
        """
        for place in range(count):
            self._room[place] = self._sizes[place]
        failed = []
        place = 0
        while place < count:
            header = self._first + place * ctypes.sizeof(_Header)
            sent = self._send(descriptor, header, count - place, socket.MSG_DONTWAIT)
            if sent < 1:
                failed.append(place)
            place += max(1, sent)
        return failed


def socket_address(name: bytes) -> SocketAddress:
    """Return what Python's sockets call an address that :meth:`Batch.sender` returned."""
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


def _address(memory: bytearray | mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _connect(headers: bytearray, vectors: bytearray, names: int, data: int) -> None:
    """Have each header point to its address and its vector, and each vector to its bytes."""
    for place in range(PLACES):
        vector = _Vector.from_buffer(vectors, place * ctypes.sizeof(_Vector))
        vector.base, vector.length = data + place * _LARGEST, _LARGEST
        message = _Header.from_buffer(headers, place * ctypes.sizeof(_Header)).message
        message.name, message.name_length = names + place * _ADDRESS_SIZE, _ADDRESS_SIZE
        message.vectors, message.vector_count = ctypes.addressof(vector), 1
