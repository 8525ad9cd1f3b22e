"""Both echoers: the same results, whether sockets are served one by one or all at once."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN, EBADF, ECONNRESET, EINVAL, EMFILE, EPIPE
from random import Random

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockd.kinds.echoer import MANY, PLACES, READ_SIZE, SETTLED, ByNumber, IEchoer, OneByOne
from sockd.kinds.lane import best_echoer
from sockd.kinds.ring import Ring
from sockd.kinds.uring import Uring
from sockd.process.descriptors import LANE
from tests.clients import receive, reset
from tests.vitals import held


def ring_out_of_order() -> Ring:
    """Return a ring whose results come last ones first: Linux before 6.2 has orders of its own."""
    ring = Ring()
    queues = ring._uring
    enter = queues._enter

    def backwards(number: int, descriptor: int, count: int, *rest: object) -> int:
        done = int(enter(number, descriptor, count, *rest))
        for words in (queues._numbers, queues._results):
            places = [(queues._completed + index) % len(words) for index in range(done)]
            values = [words[place] for place in places]
            for place, value in zip(reversed(places), values, strict=True):
                words[place] = value
        return done

    queues._enter = backwards
    return ring


def by_number() -> ByNumber:
    """Return one of both."""
    return ByNumber(OneByOne(), Ring())


@pytest.fixture(params=[Ring, ring_out_of_order, OneByOne, by_number])
def echoer(request: pytest.FixtureRequest) -> Iterator[IEchoer]:
    """Return an echoer of one kind."""
    try:
        made: IEchoer = request.param()
    except OSError as error:
        pytest.skip(f"io_uring: {error}")
    yield made
    made.close()


@pytest.fixture
def ring() -> Iterator[Ring]:
    """Return one that serves all at once."""
    try:
        made = Ring()
    except OSError as error:
        pytest.skip(f"io_uring: {error}")
    yield made
    made.close()


class Pairs:
    """Connections over the loopback; the served ends do not block."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.served: list[socket.socket] = []

    def descriptors(self) -> list[int]:
        """Return those of the served ends."""
        return [each.fileno() for each in self.served]


@contextmanager
def connected_pairs(count: int) -> Iterator[Pairs]:
    """Hold so many connections open."""
    made = Pairs()
    with socket.create_server(("127.0.0.1", 0), backlog=count) as server:
        for _ in range(count):
            client = socket.create_connection(server.getsockname())
            client.settimeout(30)
            made.clients.append(client)
            made.served.append(server.accept()[0])
            made.served[-1].setblocking(False)
    try:
        yield made
    finally:
        for each in (*made.clients, *made.served):
            each.close()


def test_it_provides_what_it_says(echoer: IEchoer) -> None:
    assert verifyObject(IEchoer, echoer)


def test_what_each_one_says_goes_back_to_it(echoer: IEchoer) -> None:
    random = Random(3)  # noqa: S311 - sizes, not secrets
    with connected_pairs(PLACES) as pairs:
        for _ in range(50):
            who = random.sample(range(PLACES), random.randint(1, PLACES))
            said = {one: random.randbytes(random.randint(1, 3000)) for one in who}
            for one, data in said.items():
                pairs.clients[one].send(data)
            sizes = [len(data) for data in said.values()]
            assert echoer.echo([pairs.descriptors()[one] for one in who]) == (sizes, sizes)
            for one, data in said.items():
                assert receive(pairs.clients[one], len(data)) == data


def test_one_read_brings_no_more_than_there_is_room_for(echoer: IEchoer) -> None:
    with connected_pairs(1) as pairs:
        data = os.urandom(READ_SIZE + 10)
        pairs.clients[0].sendall(data)
        assert echoer.echo(pairs.descriptors()) == ([READ_SIZE], [READ_SIZE])
        assert echoer.echo(pairs.descriptors()) == ([10], [10])
        assert receive(pairs.clients[0], len(data)) == data


def test_ends_resets_and_silence_among_them_change_nothing_for_the_others(echoer: IEchoer) -> None:
    with connected_pairs(7) as pairs:
        talking, ended, _, broken, deaf, last, _ = pairs.clients
        for client in (talking, deaf, last):
            client.send(b"hello")
        ended.shutdown(socket.SHUT_WR)
        reset(broken)
        pairs.served[4].shutdown(socket.SHUT_WR)
        descriptors = pairs.descriptors()
        pairs.served[6].close()
        received, sent = echoer.echo(descriptors)
        assert received == [5, 0, -EAGAIN, -ECONNRESET, 5, 5, -EBADF]
        assert sent == [5, 0, 0, 0, -EPIPE, 5, 0]
        assert [echoer.unsent(place) for place in range(7)] == [b""] * 7
        for client in (talking, last):
            assert receive(client, 5) == b"hello"


def test_what_a_slow_reader_is_still_to_have_is_kept_until_the_next_call(echoer: IEchoer) -> None:
    with connected_pairs(2) as pairs:
        pairs.served[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        pairs.clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while True:
            data = os.urandom(10_000)
            pairs.clients[0].send(b"quick")
            pairs.clients[1].sendall(data)
            received, sent = echoer.echo(pairs.descriptors())
            assert (received, sent[0]) == ([5, len(data)], 5)
            if sent[1] != len(data):
                break
        assert echoer.unsent(1) == data[max(sent[1], 0) :]


def test_nobody_has_said_anything(echoer: IEchoer) -> None:
    with connected_pairs(3) as pairs:
        assert echoer.echo(pairs.descriptors()) == ([-EAGAIN] * 3, [0] * 3)


@implementer(IEchoer)
class Told:
    """An echoer that only notes for how many it was called.

    :ivar has_end: whether one of them says that it has come to its end.
    """

    def __init__(self, rest: bytes) -> None:
        self.calls: list[int] = []
        self.has_end = False
        self.is_closed = False
        self._rest = rest

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Take note, and say that each had a byte to say."""
        self.calls.append(len(descriptors))
        received = [1] * len(descriptors)
        received[0] = 0 if self.has_end else 1
        return received, received

    def unsent(self, place: int) -> bytes:
        """Return what this one would have."""
        return self._rest

    def close(self) -> None:
        """Take note."""
        self.is_closed = True


def test_few_are_served_by_one_echoer_and_many_by_another() -> None:
    few, many = Told(b"few"), Told(b"many")
    both = ByNumber(few, many)
    for count, rest in ((MANY - 1, b"few"), (MANY, b"many"), (1, b"few"), (PLACES, b"many")):
        both.echo([0] * count)
        assert both.unsent(0) == rest
    assert (few.calls, many.calls) == ([MANY - 1, 1], [MANY, PLACES])
    both.close()
    assert few.is_closed
    assert many.is_closed


def test_while_connections_come_and_go_even_many_are_served_like_few() -> None:
    few, many = Told(b"few"), Told(b"many")
    both = ByNumber(few, many)
    few.has_end = True
    both.echo([0])
    few.has_end = False
    while not many.calls:
        both.echo([0] * PLACES)
    assert few.calls == [1] + [PLACES] * SETTLED


def test_a_ring_gives_back_all_the_descriptors_that_it_took() -> None:
    gc.collect()  # what other tests have left
    before = held(os.getpid(), "io_uring")
    made = best_echoer(may_use_io_uring=True)
    assert held(os.getpid(), "io_uring") - before <= LANE - 1
    made.close()
    del made
    assert held(os.getpid(), "io_uring") == before


def test_where_there_is_no_room_for_a_ring_they_are_served_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_room(_: int) -> Uring:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr("sockd.kinds.ring.Uring", no_room)
    assert isinstance(best_echoer(may_use_io_uring=True), OneByOne)


def test_a_ring_that_the_system_does_not_make_is_an_error() -> None:
    with pytest.raises(OSError, match=os.strerror(EINVAL)):
        Uring(1 << 20)


def limited(ring: Ring, monkeypatch: pytest.MonkeyPatch, most: Callable[[int], int]) -> None:
    """Have the kernel do less than it is given, as if it were short of memory."""
    enter = ring._uring._enter

    def less(number: int, descriptor: int, count: int, *rest: object) -> int:
        return int(enter(number, descriptor, most(count), *rest))

    monkeypatch.setattr(ring._uring, "_enter", less)


def test_what_the_system_has_no_room_for_is_done_later(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected_pairs(3) as pairs:
        for client in pairs.clients:
            client.send(b"hello")
        with monkeypatch.context() as patch:
            limited(ring, patch, lambda count: count - 1)
            received, sent = ring.echo(pairs.descriptors())
        assert (received, sent) == ([5, 5, -EAGAIN], [5, -EAGAIN, 0])
        assert ring.unsent(1) == b"hello"
        assert ring.echo(pairs.descriptors()) == ([-EAGAIN, -EAGAIN, 5], [0, 0, 5])


def test_an_operation_that_waits_after_all_is_an_error(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected_pairs(1) as pairs:
        pairs.clients[0].send(b"hello")
        monkeypatch.setattr(ring._uring, "_enter", lambda *_: 1)
        with pytest.raises(BlockingIOError):
            ring.echo(pairs.descriptors())


def test_a_ring_that_does_nothing_any_more_says_so(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected_pairs(1) as pairs:
        pairs.clients[0].send(b"hello")
        limited(ring, monkeypatch, lambda _: 0)
        with pytest.raises(OSError, match="io_uring"):
            ring.echo(pairs.descriptors())
