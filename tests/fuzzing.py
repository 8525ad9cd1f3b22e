"""What the fuzz tests share: bytes in any shape, clients that leave in any way, and the judgement.

Each test has so many examples as the profile says: ``pytest --hypothesis-profile=long`` has more.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum

from hypothesis import settings
from hypothesis import strategies as st

from tests.clients import connect, receive_to_end, reset
from tests.harness import Sockd
from tests.vitals import assert_recovered, vitals

_TIME = 10.0
_BROKEN_OFF = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)

bounded = settings(deadline=None, print_blob=True)


class Leave(Enum):
    """How a client goes."""

    AFTER_THE_END = "it says no more, and reads to the end"
    EARLY = "it closes at once"
    RESET = "it resets the connection"


def chunks(data: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Return data, cut anywhere."""
    cuts = st.lists(st.floats(0, 1), max_size=5)
    return st.builds(_cut, data, cuts)


def _cut(data: bytes, cuts: Sequence[float]) -> list[bytes]:
    ends = [*sorted(int(cut * len(data)) for cut in cuts), len(data)]
    starts = [0, *ends]
    return [data[start:end] for start, end in zip(starts, ends, strict=False)]


def converse(port: int, parts: Sequence[bytes], leave: Leave) -> bytes | None:
    """Send the parts and leave; return all that was answered, if the client stayed for that.

    What was answered is ``None`` too if the server broke the connection off.
    """
    with connect(port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(_TIME)
        try:
            for part in parts:
                client.sendall(part)
            if leave is Leave.AFTER_THE_END:
                client.shutdown(socket.SHUT_WR)
                return receive_to_end(client)
            if leave is Leave.RESET:
                reset(client)
        except OSError as error:
            if error.errno not in _BROKEN_OFF:
                raise
    return None


@contextmanager
def unshaken(sockd: Sockd) -> Iterator[None]:
    """Hold that a daemon bears what happens inside, says nothing of it, and gives all back."""
    sockd.get("/health")
    before = vitals(sockd)
    yield
    assert_recovered(sockd, replace(before, resident=2 * before.resident))
