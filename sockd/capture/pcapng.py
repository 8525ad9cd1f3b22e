"""Reads the blocks of a pcapng stream, and cuts packets to their headers. Pure.

See https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html. Only the output of ``dumpcap``
on this machine is supported, in its byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sockd.capture.headers import headers_length

SECTION = 0x0A0D0D0A
INTERFACE = 1
STATISTICS = 5
PACKET = 6

MAX_BLOCK = 1024 * 1024
"""The maximum length of a block, in bytes."""

_FRAME = 12
"""The minimum length of a block, in bytes: its type, and its length twice."""

_HEAD = struct.Struct("=II")
_LENGTH = struct.Struct("=I")
_LINK = struct.Struct("=H")
_PACKET_HEAD = struct.Struct("=7I")


class FormatError(ValueError):
    """The stream is not valid pcapng."""

    def __init__(self) -> None:
        super().__init__("dumpcap did not write pcapng")


@dataclass(frozen=True, slots=True)
class Block:
    """A complete block.

    :ivar kind: its type.
    """

    kind: int
    data: bytes


class Blocks:
    """Splits a stream into blocks.

    :param with_payload: leave packets unchanged. Otherwise they are cut after their headers; their
        original length stays.
    """

    def __init__(self, with_payload: bool) -> None:
        self._with_payload = with_payload
        self._rest = b""
        self._links: list[int] | None = None

    def feed(self, data: bytes) -> Iterator[Block]:
        """Return the blocks that are complete.

        :raise FormatError: if the stream is not valid.
        """
        data = self._rest + data
        start = 0
        while len(data) - start >= _FRAME:
            kind, length = _HEAD.unpack_from(data, start)
            if not _FRAME <= length <= MAX_BLOCK or length % 4:
                raise FormatError
            if len(data) - start < length:
                break
            block = self._read(kind, data[start : start + length])
            start += length
            if block is not None:
                yield block
        self._rest = data[start:]

    def _read(self, kind: int, data: bytes) -> Block | None:
        """Return the block to keep; ``None`` for blocks of unknown types."""
        if kind == SECTION:
            self._links = []
        elif self._links is None:
            raise FormatError
        elif kind == INTERFACE:
            self._links.append(_LINK.unpack_from(data, _HEAD.size)[0])
        elif kind == PACKET and not self._with_payload:
            return Block(PACKET, _cut(data, self._links))
        elif kind not in (PACKET, STATISTICS):
            return None
        return Block(kind, data)


def _cut(data: bytes, links: Sequence[int]) -> bytes:
    """Return an enhanced packet block with only the headers of its packet."""
    if len(data) < _PACKET_HEAD.size + 4:
        raise FormatError
    kind, _, interface, high, low, captured, on_wire = _PACKET_HEAD.unpack_from(data)
    start = _PACKET_HEAD.size
    end = start + captured
    if interface >= len(links) or end + 4 > len(data):
        raise FormatError
    packet = data[start:end]
    kept = headers_length(packet, links[interface])
    padding = bytes(-kept % 4)
    options = data[end + -captured % 4 : -4]
    length = start + kept + len(padding) + len(options) + 4
    head = _PACKET_HEAD.pack(kind, length, interface, high, low, kept, on_wire)
    return b"".join((head, packet[:kept], padding, options, _LENGTH.pack(length)))
