"""The fast path compared with a simple model, for random actions of clients and operators.

A service listens on real sockets with small buffers, and the test runs the reactor's turns. The
model is the same with the fast path, without it, and behind a load balancer.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.tcp import Port
from twisted.python.failure import Failure

from sockd.config.endpoint import parse_stream
from sockd.config.limits import network
from sockd.config.specs import ServiceSpec
from sockd.errors import SourceLocation
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason
from sockd.model.records import Connection
from sockd.reactor import IReactor
from sockd.replies.echo import Echo
from sockd.services.connection import StreamConnection
from sockd.services.context import ServiceContext
from sockd.services.fastpath.adaptive import best_echoer
from sockd.services.fastpath.echoer import IEchoer, ReadWriteEchoer
from sockd.services.fastpath.ring import IoUringEchoer
from sockd.services.fastpath.splice import SpliceEchoer
from sockd.services.stream import StreamKind, StreamService
from tests.clients import reset
from tests.harness import DEADLINE
from tests.paths import HEADER, has_io_uring

PLACE = SourceLocation("lab.ini", 1, "service:s", "listen")
SMALL = 4096
"""The requested size of the sockets' buffers; the kernel rounds it up."""

MAX_TURNS = 20_000
A_LONG_TIME = 3600.0
FIRST_INPUT = 30_000
"""The number of bytes that follow a PROXY header at once: more than the buffers hold."""
PATTERN = Random(1).randbytes(1_000_003)
"""The repeated pattern that clients send: a lost or repeated byte shifts all that follow."""


@dataclass
class Client:
    """The model of one client.

    :ivar may_end: the possible end reasons of its connection.
    """

    handle: socket.socket
    port: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    has_finished: bool = False
    is_reset: bool = False
    is_at_end: bool = False
    may_end: set[EndReason] = field(default_factory=lambda: {EndReason.EOF})


class Lab:
    """A service, its clients, and the model of both.

    :param is_relayed: whether clients start with a PROXY header, followed by input at once.
    """

    def __init__(self, has_fast_path: bool, is_relayed: bool) -> None:
        self.reactor = EPollReactor()
        self.ledger = Ledger(self.reactor.seconds, history=10_000)
        endpoint = parse_stream("tcp:0:interface=127.0.0.1", PLACE)
        balancers = (network("127.0.0.1", PLACE),) if is_relayed else ()
        spec = ServiceSpec("s", "multi", (endpoint,), PLACE, proxy=balancers)
        self._context = ServiceContext(
            cast(IReactor, self.reactor), self.ledger, 0.0, fast_path=has_fast_path
        )
        service = StreamKind("multi").serve(spec, Echo(), self._context)
        assert isinstance(service, StreamService)
        self.service = service
        self._is_relayed = is_relayed
        self.clients: list[Client] = []
        self.start()

    def start(self) -> None:
        """Start listening, if the service does not listen yet."""
        if not self.service.running:
            self.service.startService()
            for _ in range(MAX_TURNS):
                if self.service.record.listeners:
                    break
                self.turn()
            for port in self.reactor.getReaders():
                if isinstance(port, Port):
                    port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)

    def turn(self, times: int = 1) -> None:
        """Run one turn of the reactor."""
        for _ in range(times):
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(0)

    def turn_until(self, condition: Callable[[], bool]) -> None:
        """Run the reactor until a condition holds; all clients read meanwhile."""
        for _ in range(MAX_TURNS):
            if condition():
                return
            self.turn()
            for client in self.clients:
                self.read(client, 65536)
        message = "it did not come to pass"
        raise AssertionError(message)

    def connect(self) -> None:
        """Connect one more client."""
        if self.service.running:
            handle = socket.socket()
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            handle.connect(("127.0.0.1", self.service.record.listeners[0].address.port))
            handle.setblocking(False)
            self.clients.append(Client(handle, handle.getsockname()[1]))
            if self._is_relayed:
                sent = handle.send(HEADER + PATTERN[:FIRST_INPUT]) - len(HEADER)
                self.clients[-1].sent += PATTERN[:sent]
            self.turn_until(lambda: self.record(self.clients[-1]) is not None)

    def record(self, client: Client) -> Connection | None:
        """Return the ledger's record of a client."""
        found = self.ledger.all_connections()
        return next((each for each in found if (each.via or each.peer).port == client.port), None)

    def send(self, client: Client, size: int) -> None:
        """Send as many of the next bytes as the kernel accepts."""
        if not client.has_finished:
            start = len(client.sent) % len(PATTERN)
            data = PATTERN[start : start + size]
            with suppress(BlockingIOError, ConnectionError):
                client.sent += data[: client.handle.send(data)]

    def read(self, client: Client, size: int) -> None:
        """Read available data, up to a size."""
        if not client.is_reset and not client.is_at_end:
            try:
                data = client.handle.recv(size)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            client.received += data
            client.is_at_end = not data

    def half_close(self, client: Client) -> None:
        """Close the sending side."""
        if not client.has_finished:
            client.has_finished = True
            with suppress(OSError):
                client.handle.shutdown(socket.SHUT_WR)

    def reset(self, client: Client) -> None:
        """Reset the connection."""
        client.has_finished = client.is_reset = True
        client.may_end.add(EndReason.RESET)
        reset(client.handle)

    def disconnect(self, client: Client) -> None:
        """Close a connection as the admin shell does."""
        record = self.record(client)
        if record is not None and self.service.disconnect(record.id):
            client.may_end |= {EndReason.DISCONNECT, EndReason.RESET}

    def close_fast_path(self) -> None:
        """Close the fast path."""
        if self.service.fast_path is not None:
            self.service.fast_path.close()

    def allow(self, io_uring: bool) -> None:
        """Allow or forbid io_uring(7), which replaces the echoer."""
        if self.service.fast_path is not None:
            self.service.fast_path.allow(io_uring)

    def stop(self) -> None:
        """Stop the service without a drain."""
        if self.service.running:
            self._set_drain(0.0)
            self._allow_cut_off()
            self.service.stopService()

    def shut_down(self) -> None:
        """Stop the service with a drain, as the daemon does."""
        if self.service.running:
            self._set_drain(A_LONG_TIME)
            self.service.stopService()

    def hurry(self) -> None:
        """End the drain, as a second Ctrl-C does."""
        if self.service._drains:
            self._allow_cut_off()
        self.service.hurry()

    def _set_drain(self, drain: float) -> None:
        """Reload with another drain time."""
        self._context = replace(self._context, drain=drain)
        self.service.reconfigure(self.service.spec, Echo(), self._context)

    def _allow_cut_off(self) -> None:
        """Expect that open connections may be cut off."""
        for client in self.clients:
            record = self.record(client)
            if record is not None and record.closed is None:
                client.may_end |= {EndReason.STOP, EndReason.RESET}

    def finish(self) -> None:
        """Wait for the end of all connections, and compare them with the model."""
        for client in self.clients:
            self.half_close(client)
        self.turn_until(lambda: not self.service.record.active)
        self.turn_until(lambda: all(c.is_reset or c.is_at_end for c in self.clients))
        for client in self.clients:
            self.compare(client)
        records = [self.record(client) for client in self.clients]
        for counter in ("bytes_in", "bytes_out", "reads", "writes"):
            total = sum(getattr(record, counter) for record in records)
            assert getattr(self.service.record, counter) == total
        assert self.service.record.closed == len(self.clients)

    def compare(self, client: Client) -> None:
        """Compare one connection with the model."""
        record = self.record(client)
        assert record is not None
        assert record.reason in client.may_end
        assert client.sent.startswith(client.received)
        assert len(client.received) <= record.bytes_out == record.bytes_in <= len(client.sent)
        if client.may_end == {EndReason.EOF}:
            assert client.received == client.sent
            assert record.bytes_in == len(client.sent)


@contextmanager
def lab(
    has_fast_path: bool, is_relayed: bool = False, echoer: Callable[[], IEchoer] | None = None
) -> Iterator[Lab]:
    """Run a lab, and close everything at the end.

    :param echoer: returns the echoer to use while io_uring(7) is allowed; ``None``: the default.
    """

    def made_for_it(io_uring: bool) -> IEchoer:
        if echoer is None:
            return best_echoer(io_uring)
        return echoer() if io_uring else ReadWriteEchoer()

    if echoer is IoUringEchoer and not has_io_uring():
        pytest.skip("the system has no io_uring")
    made = Lab(has_fast_path, is_relayed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sockd.services.fastpath.fastpath.best_echoer", made_for_it)
        for threshold, value in (("MANY", 2), ("SETTLED", 1), ("LARGE", 4096), ("SEVERAL", 1)):
            patch.setattr(f"sockd.services.fastpath.adaptive.{threshold}", value)
        try:
            yield made
        finally:
            made.stop()
            made.hurry()
            for client in made.clients:
                client.handle.close()
            while made.service.record.active:
                made.turn()
            made.turn(3)
            made.reactor.waker.connectionLost(Failure(ConnectionDone()))


SIZES = st.sampled_from([1, 7, 1000, 4096, 65536, 70_000, 300_000])
WHO = st.integers(0, 3)
DEEDS = st.one_of(
    st.tuples(st.just("connect")),
    st.tuples(st.just("turn"), st.integers(1, 5)),
    st.tuples(st.just("send"), WHO, SIZES),
    st.tuples(st.just("send"), WHO, SIZES),
    st.tuples(st.just("read"), WHO, SIZES),
    st.tuples(st.just("half_close"), WHO),
    st.tuples(st.just("reset"), WHO),
    st.tuples(st.just("disconnect"), WHO),
    st.tuples(st.just("close_fast_path")),
    st.tuples(st.just("allow"), st.booleans()),
    st.tuples(st.just("stop")),
    st.tuples(st.just("shut_down")),
    st.tuples(st.just("hurry")),
    st.tuples(st.just("start")),
)


def do(made: Lab, deed: tuple[object, ...]) -> None:
    """Perform one action; do nothing if the client is not connected."""
    match deed:
        case ("connect" | "stop" | "shut_down" | "hurry" | "start" | "close_fast_path" as name,):
            getattr(made, name)()
        case ("allow" | "turn" as name, argument):
            getattr(made, name)(argument)
        case (str(name), int(who), *more) if who < len(made.clients):
            client = made.clients[who]
            if not client.is_reset:
                getattr(made, name)(client, *more)


@pytest.mark.parametrize(
    ("has_fast_path", "is_relayed", "echoer"),
    [
        (True, False, None),
        (True, False, IoUringEchoer),
        (True, False, SpliceEchoer),
        (True, False, ReadWriteEchoer),
        (False, False, None),
        (True, True, None),
    ],
    ids=["fast-path", "ring", "splicer", "one-by-one", "reactor", "relayed"],
)
@settings(max_examples=60, deadline=None)
@given(deeds=st.lists(DEEDS, max_size=40))
def test_no_byte_is_lost_or_repeated_and_the_ledger_is_exact(
    has_fast_path: bool,
    is_relayed: bool,
    echoer: Callable[[], IEchoer] | None,
    deeds: list[tuple[object, ...]],
) -> None:
    with lab(has_fast_path, is_relayed, echoer) as made:
        made.connect()
        for deed in deeds:
            do(made, deed)
        made.finish()


def test_what_is_sent_in_two_pieces_does_not_wait_for_an_acknowledgement() -> None:
    with lab(has_fast_path=True) as made:
        made.connect()
        [connection] = made.service._connections.values()
        transport = cast("StreamConnection", connection).transport
        assert transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def no_room(*_: object) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_without_resources_for_the_fast_path_the_reactor_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with lab(has_fast_path=True) as made:
        monkeypatch.setattr("sockd.services.fastpath.fastpath.select.epoll", no_room)
        made.connect()
        made.send(made.clients[0], 300_000)
        made.finish()


def test_after_its_first_input_a_relayed_connection_uses_the_fast_path() -> None:
    with lab(has_fast_path=True, is_relayed=True) as made:
        made.connect()
        [client] = made.clients
        made.turn_until(lambda: len(client.received) == FIRST_INPUT)
        made.turn(3)
        made.send(client, 1)
        assert made.service.fast_path is not None
        watched, _, _ = select.select([made.service.fast_path.fileno()], [], [], DEADLINE)
        assert watched
