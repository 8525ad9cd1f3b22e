"""A connection tells whether its client is slow, and still closes when it is told to."""
# mypy: allow-untyped-calls
# Twisted's descriptors have no types.

from __future__ import annotations

from typing import cast

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IPushProducer, IReactorFDSet
from twisted.internet.main import CONNECTION_DONE
from zope.interface.verify import verifyObject

from sockd.admin.congestion import Congestion, IStream


class OneWriter:
    """Lets one descriptor write as long as it asks for it.

    :ivar listens: whether what its client sends is read.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.listens = True

    def addWriter(self, writer: object) -> None:
        """Record the call."""
        self.is_asked = True

    def removeWriter(self, writer: object) -> None:
        """Record the call."""
        self.is_asked = False

    def addReader(self, reader: object) -> None:
        """Record the call."""
        self.listens = True

    def removeReader(self, reader: object) -> None:
        """Record the call."""
        self.listens = False


class Line(FileDescriptor):
    """A connection whose client reads, or does not."""

    connected = 1

    def __init__(self) -> None:
        self.writer = OneWriter()
        super().__init__(cast("IReactorFDSet", self.writer))
        self.is_read = False

    def writeSomeData(self, data: bytes) -> int:
        """Send all or nothing."""
        return len(data) if self.is_read else 0


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def congestion(line: Line) -> Congestion:
    return Congestion(cast(IStream, line))


def test_it_is_what_a_transport_expects(congestion: Congestion) -> None:
    assert verifyObject(IPushProducer, congestion)


def test_a_client_is_slow_and_not_listened_to_until_it_has_read_all(
    line: Line, congestion: Congestion
) -> None:
    for _ in range(2):
        line.write(b"x")
        assert not congestion.is_on
        assert line.writer.listens
        line.write(b"x" * 200_000)
        assert congestion.is_on
        assert not line.writer.listens
        line.is_read = True
        line.doWrite()
        assert not congestion.is_on
        assert line.writer.listens
        line.is_read = False


def test_a_slow_client_is_hung_up_on_once_it_has_read_all(
    line: Line, congestion: Congestion
) -> None:
    line.write(b"x" * 200_000)
    line.loseConnection()
    assert line.doWrite() is None
    line.is_read = True
    ends = []
    while line.writer.is_asked and CONNECTION_DONE not in ends:
        ends.append(line.doWrite())
    assert CONNECTION_DONE in ends


def test_nothing_is_sent_to_one_who_is_gone(congestion: Congestion) -> None:
    congestion.stopProducing()
    assert congestion.is_on
