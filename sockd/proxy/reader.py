"""An incremental reader for the PROXY header at the start of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sockd.proxy import v1, v2
from sockd.proxy.header import MalformedHeader

if TYPE_CHECKING:
    from sockd.proxy.header import Header

_VERSIONS = ((v1.V1_SIGNATURE, v1.parse_v1), (v2.V2_SIGNATURE, v2.parse_v2))


class HeaderReader:
    """The header reader of one stream.

    Extensions (TLVs) are skipped and not stored. The reader must not be used after it has returned
    the header or raised an exception.
    """

    def __init__(self) -> None:
        self._start = b""
        self._header: Header | None = None
        self._left = 0

    def feed(self, data: bytes) -> tuple[Header, bytes] | None:
        """Return the header and the bytes after it; ``None`` if more input is needed.

        :raise MalformedHeader: as soon as the input cannot become a valid header.
        """
        if self._header is None:
            data = self._start + data
            found = _parse_start(data)
            if found is None:
                self._start = data
                return None
            self._header, self._left = found
        rest = data[self._left :]
        self._left -= len(data) - len(rest)
        return None if self._left else (self._header, rest)


def _parse_start(start: bytes) -> tuple[Header, int] | None:
    for signature, parsed in _VERSIONS:
        if start.startswith(signature):
            return parsed(start)
        if signature.startswith(start):
            return None
    message = "it does not start with the signature of a PROXY header"
    raise MalformedHeader(message)
