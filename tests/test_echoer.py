"""All echoers have the same results: one by one, in batches, and without copying."""

from __future__ import annotations

import ctypes
import gc
import os
import socket
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN, EBADF, ECONNRESET, EINVAL, EPERM, EPIPE
from pathlib import Path
from random import Random

import pytest
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockd.services.fastpath.adaptive import (
    LARGE,
    MANY,
    SETTLED,
    SEVERAL,
    AdaptiveEchoer,
    best_echoer,
)
from sockd.services.fastpath.echoer import MOST_SOCKETS, READ_SIZE, IEchoer, ReadWriteEchoer
from sockd.services.fastpath.fastpath import FAST_PATH_DESCRIPTORS
from sockd.services.fastpath.io_uring import ENTRY, RECEIVE, IoUring
from sockd.services.fastpath.ring import IoUringEchoer
from sockd.services.fastpath.splice import SpliceEchoer
from tests.clients import receive, reset
from tests.paths import has_io_uring


def ring_out_of_order() -> IoUringEchoer:
    """Return a ring whose results come in reverse order; Linux until 6.2 reorders them."""
    ring = IoUringEchoer()
    queues = ring._uring
    enter = queues._enter

    def backwards(number: int, descriptor: int, count: int, *rest: object) -> int:
        done = int(enter(number, descriptor, count, *rest))
        for words in (queues._numbers, queues._results):
            buffers = [(queues._completed + index) % len(words) for index in range(done)]
            values = [words[index] for index in buffers]
            for index, value in zip(reversed(buffers), values, strict=True):
                words[index] = value
        return done

    queues._enter = backwards
    return ring


def chooser() -> IEchoer:
    """Return an adaptive echoer that uses one echoer for everything."""
    return best_echoer(may_use_io_uring=True)


@pytest.fixture(params=[IoUringEchoer, ring_out_of_order, SpliceEchoer, ReadWriteEchoer, chooser])
def echoer(request: pytest.FixtureRequest) -> Iterator[IEchoer]:
    """Return an echoer of one type."""
    try:
        made: IEchoer = request.param()
    except OSError as error:
        pytest.skip(f"io_uring: {error}")
    yield made
    made.close()


@pytest.fixture
def ring() -> Iterator[IoUringEchoer]:
    """Return an io_uring(7) echoer."""
    try:
        made = IoUringEchoer()
    except OSError as error:
        pytest.skip(f"io_uring: {error}")
    yield made
    made.close()


class Pairs:
    """Connections over loopback, whose served ends do not block."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.served: list[socket.socket] = []

    def descriptors(self) -> list[int]:
        """Return the descriptors of the served ends."""
        return [each.fileno() for each in self.served]


@contextmanager
def connected_pairs(count: int) -> Iterator[Pairs]:
    """Open a number of connections."""
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
    random = Random(3)
    with connected_pairs(MOST_SOCKETS) as pairs:
        for _ in range(50):
            who = random.sample(range(MOST_SOCKETS), random.randint(1, MOST_SOCKETS))
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
        sizes: list[int] = []
        while sum(sizes) < len(data):
            received, sent = echoer.echo(pairs.descriptors())
            assert received == sent
            sizes += received
        assert max(sizes) <= READ_SIZE
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
        assert [echoer.unsent(index) for index in range(7)] == [b""] * 7
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


@pytest.mark.parametrize("is_finished", [True, False])
def test_urgent_data_is_left_out_and_what_follows_it_is_not_lost(
    echoer: IEchoer, is_finished: bool
) -> None:
    with connected_pairs(1) as pairs:
        [client] = pairs.clients
        client.send(b"hello")
        client.send(b"!", socket.MSG_OOB)
        client.send(b"world")
        if is_finished:
            client.shutdown(socket.SHUT_WR)
        said = b""
        for _ in range(3):
            _, [put] = echoer.echo(pairs.descriptors())
            said += receive(client, max(put, 0)) + echoer.unsent(0)
        assert said == b"helloworld"
        assert echoer.echo(pairs.descriptors()) == ([0 if is_finished else -EAGAIN], [0])


def test_nobody_has_said_anything(echoer: IEchoer) -> None:
    with connected_pairs(3) as pairs:
        assert echoer.echo(pairs.descriptors()) == ([-EAGAIN] * 3, [0] * 3)


def test_large_messages_of_several_go_back_to_whom_they_belong(echoer: IEchoer) -> None:
    random = Random(4)
    with connected_pairs(5) as pairs:
        for _ in range(20):
            said = [random.randbytes(random.randint(LARGE, 60_000)) for _ in pairs.clients]
            left = [len(data) for data in said]
            for client, data in zip(pairs.clients, said, strict=True):
                client.sendall(data)
            while any(left):
                received, sent = echoer.echo(pairs.descriptors())
                assert [size for size in received if size > 0] == [size for size in sent if size]
                left = [rest - size for rest, size in zip(left, sent, strict=True)]
            for client, data in zip(pairs.clients, said, strict=True):
                assert receive(client, len(data)) == data


@implementer(IEchoer)
class FakeEchoer:
    """An echoer that only records the number of sockets in each call.

    :ivar first: the size of the first socket's input.
    :ivar size: the size of the other sockets' input.
    """

    def __init__(self, rest: bytes) -> None:
        self.calls: list[int] = []
        self.first = self.size = 1
        self.times_closed = 0
        self._rest = rest

    def echo(self, descriptors: list[int]) -> tuple[list[int], list[int]]:
        """Record the call, and return the same size for each socket."""
        self.calls.append(len(descriptors))
        received = [self.first, *[self.size] * (len(descriptors) - 1)]
        return received, received

    def unsent(self, index: int) -> bytes:
        """Return bytes that identify this echoer."""
        return self._rest

    def close(self) -> None:
        """Record the close."""
        self.times_closed += 1


class AdaptiveFixture:
    """An adaptive echoer with the echoers that it chooses from."""

    def __init__(self) -> None:
        self.usual, self.many, self.large = (
            FakeEchoer(rest) for rest in (b"usual", b"many", b"large")
        )
        self._chooser = AdaptiveEchoer(self.usual, self.many, self.large)

    def chosen(self, count: int, size: int = 1, first: int | None = None) -> bytes:
        """Echo for some sockets with given sizes; return which echoer has the unsent bytes."""
        for each in (self.usual, self.many, self.large):
            each.size = size
            each.first = size if first is None else first
        self._chooser.echo([0] * count)
        return self._chooser.unsent(0)

    def close(self) -> None:
        """Close all echoers."""
        self._chooser.close()


def test_few_are_served_by_one_echoer_and_many_by_another() -> None:
    made = AdaptiveFixture()
    for count, who in (
        (MANY - 1, b"usual"),
        (MANY, b"many"),
        (1, b"usual"),
        (MOST_SOCKETS, b"many"),
    ):
        assert made.chosen(count) == who


def test_while_connections_come_and_go_even_many_are_served_like_few() -> None:
    made = AdaptiveFixture()
    made.chosen(1, first=0)
    while made.chosen(MOST_SOCKETS) == b"usual":
        pass
    assert made.usual.calls == [1] + [MOST_SOCKETS] * SETTLED


@pytest.mark.parametrize("count", [SEVERAL, MANY, MOST_SOCKETS])
def test_after_large_messages_large_ones_are_expected(count: int) -> None:
    made = AdaptiveFixture()
    assert made.chosen(count, LARGE) != b"large"
    assert made.chosen(count, LARGE) == b"large"
    assert made.chosen(count, LARGE - 1) == b"large"
    assert made.chosen(count) != b"large"


def test_a_single_large_message_is_served_as_usual() -> None:
    made = AdaptiveFixture()
    assert [made.chosen(SEVERAL - 1, LARGE) for _ in range(3)] == [b"usual"] * 3


def test_where_somebody_is_silent_after_large_messages_all_is_as_usual() -> None:
    made = AdaptiveFixture()
    made.chosen(SEVERAL, 2 * LARGE)
    assert made.chosen(SEVERAL, 2 * LARGE, first=0) == b"large"
    assert made.chosen(SEVERAL, 2 * LARGE) == b"usual"


def test_all_that_were_chosen_from_are_closed() -> None:
    made = AdaptiveFixture()
    made.close()
    assert [each.times_closed for each in (made.usual, made.many, made.large)] == [1, 1, 1]


def descriptors() -> set[int]:
    """Return the open descriptors of this process, without the one for listing them."""
    listed = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    return {each for each in listed if Path(f"/proc/self/fd/{each}").exists()}


def test_the_best_one_gives_back_all_the_descriptors_that_it_took() -> None:
    gc.collect()  # objects of other tests
    before = descriptors()
    made = best_echoer(may_use_io_uring=True)
    assert len(descriptors() - before) <= FAST_PATH_DESCRIPTORS - 1
    made.close()
    del made
    assert descriptors() == before


@pytest.mark.parametrize(
    "part", ["sockd.services.fastpath.ring.IoUring", "os.pipe2", "fcntl.fcntl", "os.splice"]
)
def test_what_the_system_does_not_give_is_done_without(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def not_for_you(*_: int) -> None:
        raise OSError(EPERM, os.strerror(EPERM))

    gc.collect()
    before = descriptors()
    monkeypatch.setattr(part, not_for_you)
    made = best_echoer(may_use_io_uring=True)
    with connected_pairs(MANY) as pairs:
        for size in (5, LARGE, LARGE):
            for client in pairs.clients:
                client.sendall(bytes(size))
            assert made.echo(pairs.descriptors()) == ([size] * MANY, [size] * MANY)
            for client in pairs.clients:
                receive(client, size)
    made.close()
    del made
    assert descriptors() == before


def test_a_ring_that_the_system_does_not_make_is_an_error() -> None:
    with pytest.raises(OSError, match=os.strerror(EINVAL)):
        IoUring(1 << 20)


@pytest.mark.skipif(not has_io_uring(), reason="the system has no io_uring")
def test_an_operation_that_waits_after_all_is_an_error() -> None:
    made = IoUring(1)
    ours, theirs = socket.socketpair()
    index = bytearray(5)
    address = ctypes.addressof(ctypes.c_char.from_buffer(index))
    ENTRY.pack_into(made.entries, 0, RECEIVE, ours.fileno(), 0, address, len(index), 0, 0)
    with ours, theirs, pytest.raises(RuntimeError, match="pending"):
        made.do(memoryview(array("I", [0])))
    made.close()


def test_where_python_has_no_splice_the_others_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.splice")
    made = best_echoer(may_use_io_uring=True)
    with connected_pairs(1) as pairs:
        pairs.clients[0].send(b"hello")
        assert made.echo(pairs.descriptors()) == ([5], [5])
    made.close()


def test_a_reset_that_comes_between_two_looks_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_yet(*_: int, **__: int) -> int:
        raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))

    made = SpliceEchoer()
    monkeypatch.setattr(made, "_splice", nothing_yet)
    with connected_pairs(1) as pairs:
        reset(pairs.clients[0])
        assert made.echo(pairs.descriptors()) == ([-ECONNRESET], [0])
    made.close()


def test_no_program_that_is_started_gets_the_pipe() -> None:
    before = descriptors()
    made = SpliceEchoer()
    assert not any(os.get_inheritable(descriptor) for descriptor in descriptors() - before)
    made.close()


def limited(
    ring: IoUringEchoer, monkeypatch: pytest.MonkeyPatch, most: Callable[[int], int]
) -> None:
    """Make the kernel perform fewer operations, as if memory were short."""
    enter = ring._uring._enter

    def less(number: int, descriptor: int, count: int, *rest: object) -> int:
        return int(enter(number, descriptor, most(count), *rest))

    monkeypatch.setattr(ring._uring, "_enter", less)


def test_what_the_system_has_no_room_for_is_done_later(
    ring: IoUringEchoer, monkeypatch: pytest.MonkeyPatch
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


def test_a_ring_that_does_nothing_any_more_says_so(
    ring: IoUringEchoer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected_pairs(1) as pairs:
        pairs.clients[0].send(b"hello")
        limited(ring, monkeypatch, lambda _: 0)
        with pytest.raises(OSError, match="io_uring"):
            ring.echo(pairs.descriptors())
