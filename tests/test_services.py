"""The kinds of services with fakes: a clock and in-memory sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockd.config.endpoint import parse_datagram, parse_stream
from sockd.config.specs import WAIT, ServiceSpec
from sockd.errors import SourceLocation
from sockd.interfaces import IConversation, INetworkService, IReply, IServiceKind
from sockd.limits.buckets import RateLimit
from sockd.limits.spec import LimitsSpec
from sockd.model.address import Address
from sockd.model.events import Event, EventType
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, State
from sockd.net import datagram_socket
from sockd.net.datagram_socket import DatagramSocket
from sockd.net.mmsg import Batch
from sockd.reactor import IReactor
from sockd.replies.echo import Echo
from sockd.services import flows
from sockd.services.connection import CLOSE_TIMEOUT, FINISH_TIMEOUT
from sockd.services.context import ServiceContext
from sockd.services.datagram import DatagramKind, DatagramService
from sockd.services.drain import Drain
from sockd.services.stream import StreamKind, StreamService
from sockd.services.timers import IDLE_RECHECK
from tests.clients import udp_client

PLACE = SourceLocation("lab.ini", 3, "service:s", "listen")
LOCAL = IPv4Address("TCP", "127.0.0.1", 65432)


class SocketTransport:
    """An in-memory stream transport that records calls."""

    def __init__(self, port: int = 50001) -> None:
        self._peer = IPv4Address("TCP", "127.0.0.1", port)
        self._said = b""
        self.protocol: IProtocol | None = None
        self.producer: IPushProducer | None = None
        self.is_reading = True
        self.disconnecting = False
        self.is_half_closed = False
        self.is_aborted = False

    def getHost(self) -> IPv4Address:
        """Return the local address."""
        return LOCAL

    def getPeer(self) -> IPv4Address:
        """Return the peer's address."""
        return self._peer

    def write(self, data: bytes) -> None:
        """Send data."""
        self._said += data

    def said(self) -> bytes:
        """Return the data sent since the last call."""
        said, self._said = self._said, b""
        return said

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Record the producer."""
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Remove the producer."""
        self.producer = None

    def pauseProducing(self) -> None:
        """Pause reading."""
        self.is_reading = False

    def resumeProducing(self) -> None:
        """Resume reading."""
        self.is_reading = True

    def loseConnection(self) -> None:
        """Close, unless a producer is registered."""
        assert self.producer is None
        self.disconnecting = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing."""

    def loseWriteConnection(self) -> None:
        """Close the sending side."""
        self.is_half_closed = True

    def abortConnection(self) -> None:
        """Reset the connection."""
        self.is_aborted = True

    def getHandle(self) -> socket.socket:
        """Return a socket that has sent nothing."""
        with socket.socket(socket.AF_UNIX) as handle:
            return handle


@implementer(IConversation)
class Script:
    """A conversation with scripted answers."""

    def __init__(self, *answers: bytes | Exception | None, greeting: bytes = b"") -> None:
        self._answers = list(answers)
        self._greeting = greeting
        self.done = False

    def greet(self) -> bytes:
        """Return the greeting; the conversation is done without answers."""
        self.done = not self._answers
        return self._greeting

    def answer(self, data: bytes) -> bytes | None:
        """Return the next answer, or raise it."""
        answer = self._answers.pop(0)
        self.done = not self._answers
        if isinstance(answer, Exception):
            raise answer
        return answer


@implementer(IReply)
class ScriptedReply:
    """A reply with scripted conversations."""

    name = "script"
    identity = False
    options = ()

    def __init__(self, make: Callable[[], IConversation]) -> None:
        self._make = make

    def converse(self, service: ServiceSpec, peer: Address) -> IConversation:
        """Return a new conversation."""
        return self._make()


class Bench:
    """A stream service on an in-memory reactor."""

    def __init__(
        self, reply: IReply | None = None, kind: StreamKind | None = None, **options: Any
    ) -> None:
        self.reactor = MemoryReactorClock()
        self.ledger = Ledger(self.reactor.seconds)
        self.context = ServiceContext(cast(IReactor, self.reactor), self.ledger, drain=5.0)
        spec = ServiceSpec("s", "multi", (parse_stream("tcp:65432", PLACE),), PLACE, **options)
        made = (kind or StreamKind("multi")).serve(spec, reply or Echo(), self.context)
        assert isinstance(made, StreamService)
        self.service = made
        self.service.privilegedStartService()
        self.service.startService()

    def connect(
        self, port: int = 50001, transport: SocketTransport | None = None
    ) -> SocketTransport:
        """Connect a client."""
        factory = self.reactor.tcpServers[-1][1]
        transport = transport or SocketTransport(port)
        protocol = factory.buildProtocol(transport.getPeer())
        assert protocol is not None
        transport.protocol = protocol
        protocol.makeConnection(cast(ITransport, transport))
        return transport

    def only(self) -> Connection:
        """Return the only connection, which may be closed."""
        [connection] = self.ledger.all_connections()
        return connection

    @staticmethod
    def lose(transport: SocketTransport, error: Exception) -> None:
        """End a connection."""
        assert transport.protocol is not None
        transport.protocol.connectionLost(Failure(error))


def say(transport: SocketTransport, data: bytes) -> bytes:
    """Send to a connection; return its output since the last call."""
    assert transport.protocol is not None
    transport.protocol.dataReceived(data)
    return transport.said()


def test_the_kinds_and_their_services_keep_their_promises() -> None:
    assert verifyObject(IServiceKind, StreamKind("multi"))
    assert verifyObject(IServiceKind, DatagramKind("udp"))
    assert verifyObject(INetworkService, Bench().service)
    assert verifyObject(INetworkService, datagrams().service)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionDone(), EndReason.EOF),
        (ConnectionLost(), EndReason.RESET),
        (ValueError("a reply failed"), EndReason.ERROR),
    ],
)
def test_the_ledger_has_the_reason_for_an_end(error: Exception, reason: EndReason) -> None:
    bench = Bench()
    transport = bench.connect()
    bench.lose(transport, error)
    assert bench.only().reason is reason
    assert bench.service.record.errors == (reason is EndReason.ERROR)


def test_nothing_is_read_while_the_peer_does_not_take_what_it_is_told() -> None:
    bench = Bench()
    transport = bench.connect()
    assert transport.producer is not None
    transport.producer.pauseProducing()
    assert not transport.is_reading
    transport.producer.resumeProducing()
    assert transport.is_reading
    transport.producer.stopProducing()


def test_a_greeting_comes_first() -> None:
    bench = Bench(ScriptedReply(lambda: Script(b"bye", greeting=b"hello")))
    transport = bench.connect()
    assert transport.said() == b"hello"
    assert bench.only().bytes_out == 5


def test_a_conversation_that_only_greets_ends_there() -> None:
    bench = Bench(ScriptedReply(lambda: Script(greeting=b"12:00")))
    transport = bench.connect()
    assert (transport.said(), transport.is_half_closed) == (b"12:00", True)


def test_what_comes_after_the_last_reply_is_counted_and_dropped() -> None:
    bench = Bench(ScriptedReply(lambda: Script(None, b"done")))
    transport = bench.connect()
    assert say(transport, b"one") == b""
    assert not transport.is_half_closed
    assert say(transport, b"two") == b"done"
    assert transport.is_half_closed
    assert say(transport, b"three") == b""
    connection = bench.only()
    assert (connection.reads, connection.bytes_in, connection.writes) == (3, 11, 1)


def test_a_peer_that_does_not_close_after_the_last_reply_is_left() -> None:
    bench = Bench(replies=1)
    transport = bench.connect()
    say(transport, b"x")
    cast("IHalfCloseableProtocol", transport.protocol).writeConnectionLost()
    assert not transport.disconnecting
    bench.reactor.advance(FINISH_TIMEOUT)
    assert transport.disconnecting
    bench.lose(transport, ConnectionDone())
    assert bench.only().reason is EndReason.REPLIES


def test_a_reply_that_cannot_begin_ends_the_connection_and_is_an_error() -> None:
    def fail() -> IConversation:
        message = "no"
        raise ValueError(message)

    bench = Bench(ScriptedReply(fail))
    transport = bench.connect()
    assert transport.disconnecting
    bench.lose(transport, ConnectionDone())
    assert bench.only().reason is EndReason.ERROR


def test_a_reply_that_fails_ends_the_connection_and_is_not_asked_again() -> None:
    bench = Bench(ScriptedReply(lambda: Script(b"one", ValueError("no"))))
    transport = bench.connect()
    assert say(transport, b"x") == b"one"
    assert say(transport, b"y") == b""
    assert transport.disconnecting
    assert say(transport, b"z") == b""
    bench.lose(transport, ConnectionDone())
    assert (bench.only().reason, bench.only().bytes_in) == (EndReason.ERROR, 3)


def test_the_reply_that_failed_is_named_though_the_section_has_another_one_now() -> None:
    bench = Bench(ScriptedReply(lambda: Script(ValueError("no"))))
    transport = bench.connect()
    bench.service.reconfigure(replace(bench.service.spec, reply="other"), Echo(), bench.context)
    with capturedLogs() as events:
        say(transport, b"x")
    assert [formatEvent(event) for event in events] == ["The reply echo failed"]


def test_a_reply_that_is_no_bytes_is_an_error_and_not_counted_as_said() -> None:
    bench = Bench(ScriptedReply(lambda: Script(cast(bytes, "text"), b"unused")))
    transport = bench.connect()
    assert say(transport, b"x") == b""
    bench.lose(transport, ConnectionDone())
    assert (bench.only().reason, bench.only().bytes_out) == (EndReason.ERROR, 0)


def test_a_greeting_is_said_before_the_transport_may_pause_the_reading() -> None:
    producers: list[IPushProducer | None] = []

    class Transport(SocketTransport):
        def write(self, data: bytes) -> None:
            producers.append(self.producer)

    bench = Bench(ScriptedReply(lambda: Script(b"unused", greeting=b"hello")))
    transport = bench.connect(transport=Transport())
    assert (producers, transport.producer) == ([None], transport.protocol)


def test_a_transport_that_closes_is_not_kept_open_by_its_producer() -> None:
    bench = Bench()
    transport = bench.connect()
    assert transport.producer is not None
    transport.producer.pauseProducing()
    transport.disconnecting = True
    transport.producer.resumeProducing()
    assert transport.producer is None


def test_somebody_who_hangs_up_gives_the_peer_a_moment() -> None:
    bench = Bench()
    transport = bench.connect()
    assert bench.service.disconnect(bench.only().id)
    assert transport.disconnecting
    assert not transport.is_aborted
    bench.reactor.advance(CLOSE_TIMEOUT)
    assert transport.is_aborted
    bench.lose(transport, ConnectionAborted())
    assert bench.only().reason is EndReason.DISCONNECT
    assert not bench.service.disconnect(bench.only().id)
    assert bench.service.tcp_info(bench.only().id) is None


def test_who_has_said_something_that_was_not_read_yet_is_not_idle() -> None:
    bench = Bench(idle_timeout=10.0)
    transport = bench.connect()
    bench.reactor.callLater(10, say, transport, b"hello")
    bench.reactor.advance(10)
    assert not transport.disconnecting
    bench.reactor.advance(10)
    assert transport.disconnecting


def test_whom_one_turn_of_the_reactor_has_not_reached_is_not_idle() -> None:
    handle, client = socket.socketpair()

    class Transport(SocketTransport):
        def getHandle(self) -> socket.socket:
            return handle

    with handle, client:
        bench = Bench(idle_timeout=10.0)
        transport = bench.connect(transport=Transport())
        assert transport.producer is not None
        client.send(b"hello")
        bench.reactor.advance(10 + 2 * IDLE_RECHECK)
        assert not transport.disconnecting
        transport.producer.pauseProducing()
        bench.reactor.advance(IDLE_RECHECK)
        assert transport.disconnecting


def test_an_idle_connection_is_closed_when_it_was_quiet_for_the_whole_time() -> None:
    bench = Bench(idle_timeout=10.0)
    transport = bench.connect()
    bench.reactor.advance(9)
    say(transport, b"x")
    bench.reactor.advance(9)
    assert not transport.disconnecting
    bench.reactor.advance(1)
    assert transport.disconnecting
    bench.lose(transport, ConnectionDone())
    assert bench.only().reason is EndReason.IDLE


def test_a_connection_is_closed_at_the_end_of_its_life_however_busy_it_is() -> None:
    bench = Bench(limits=LimitsSpec(max_lifetime=10.0))
    transport = bench.connect()
    bench.reactor.advance(9)
    assert say(transport, b"x") == b"x"
    assert not transport.disconnecting
    bench.reactor.advance(1)
    assert transport.disconnecting
    bench.lose(transport, ConnectionDone())
    assert bench.only().reason is EndReason.LIFETIME


@pytest.mark.parametrize(
    "chunks",
    [[b"abcdefghij"], [b"abcd", b"efgh"], [b"abcde", b"f"], [b"a"] * 4 + [b"bc"], [b"abcde"]],
)
def test_so_many_bytes_are_answered_and_counted_however_the_stream_is_cut(
    chunks: list[bytes],
) -> None:
    bench = Bench(limits=LimitsSpec(max_bytes=5))
    transport = bench.connect()
    said = b"".join(say(transport, chunk) for chunk in chunks)
    assert said == b"".join(chunks)[:5]
    assert transport.is_half_closed
    assert transport.is_reading
    assert say(transport, b"more") == b""
    bench.lose(transport, ConnectionDone())
    assert (bench.only().reason, bench.only().bytes_in) == (EndReason.MAX_BYTES, 5)


def test_a_connection_that_said_its_last_reply_at_its_last_byte_ended_with_the_reply() -> None:
    bench = Bench(replies=1, limits=LimitsSpec(max_bytes=3))
    transport = bench.connect()
    assert say(transport, b"abcdef") == b"abc"
    bench.lose(transport, ConnectionDone())
    assert bench.only().reason is EndReason.REPLIES


def test_a_reply_that_fails_at_the_last_byte_is_an_error() -> None:
    bench = Bench(
        ScriptedReply(lambda: Script(ValueError("no"), b"unused")), limits=LimitsSpec(max_bytes=1)
    )
    transport = bench.connect()
    say(transport, b"xy")
    bench.lose(transport, ConnectionDone())
    assert bench.only().reason is EndReason.ERROR


def test_the_end_of_a_connection_leaves_no_timer() -> None:
    bench = Bench(idle_timeout=10.0, replies=1, limits=LimitsSpec(max_lifetime=10.0))
    transport = bench.connect()
    say(transport, b"x")
    cast("IHalfCloseableProtocol", transport.protocol).writeConnectionLost()
    bench.lose(transport, ConnectionDone())
    assert bench.reactor.getDelayedCalls() == []


def test_a_full_service_turns_clients_away() -> None:
    bench = Bench(max_connections=1)
    bench.connect(50001)
    assert bench.connect(50002).disconnecting
    assert (bench.service.record.refused, bench.service.record.active) == (1, 1)


def test_a_source_that_has_its_connections_is_turned_away_until_one_ends() -> None:
    bench = Bench(limits=LimitsSpec(per_source=1))
    first = bench.connect(50001)
    assert bench.connect(50002).disconnecting
    assert bench.service.record.refusals == {RefusalReason.PER_SOURCE: 1}
    bench.lose(first, ConnectionDone())
    assert not bench.connect(50003).disconnecting


def test_who_is_turned_away_by_a_full_service_has_used_up_none_of_its_rate() -> None:
    bench = Bench(max_connections=1, limits=LimitsSpec(connect_rate=RateLimit(2, 3600.0)))
    first = bench.connect(50001)
    bench.connect(50002)
    bench.lose(first, ConnectionDone())
    assert not bench.connect(50003).disconnecting
    assert bench.service.record.refusals == {RefusalReason.FULL: 1}


def test_a_full_service_that_waits_refuses_clients_that_were_accepted_already() -> None:
    bench = Bench(max_connections=2, when_full=WAIT)
    first = bench.connect(50001)
    states = [bench.service.record.state]
    bench.connect(50002)
    states.append(bench.service.record.state)
    assert bench.connect(50003).disconnecting
    bench.lose(first, ConnectionDone())
    states.append(bench.service.record.state)
    assert states == [State.LISTENING, State.PAUSED, State.LISTENING]


def test_a_stop_waits_for_live_connections_and_then_closes_them() -> None:
    bench = Bench()
    transport = bench.connect()
    stopped = bench.service.stopService()
    assert bench.service.record.state is State.STOPPED
    bench.reactor.advance(4.9)
    assert not transport.disconnecting
    bench.reactor.advance(0.1)
    assert transport.disconnecting
    bench.lose(transport, ConnectionDone())
    assert stopped.called
    assert bench.only().reason is EndReason.STOP


def test_a_stop_gives_up_on_a_transport_that_never_ends() -> None:
    bench = Bench()
    bench.connect()
    stopped = bench.service.stopService()
    bench.reactor.advance(5)
    bench.reactor.advance(2 * CLOSE_TIMEOUT)
    assert stopped.called


def test_a_stop_can_be_hurried() -> None:
    bench = Bench()
    transport = bench.connect()
    bench.service.stopService()
    bench.service.hurry()
    assert transport.disconnecting


def test_a_hurry_that_comes_before_the_ports_are_closed_is_not_forgotten() -> None:
    drain = Drain([1])
    drain.hurry()
    assert Deferred.fromCoroutine(drain.wait(3600, Clock())).called
    assert not Deferred.fromCoroutine(drain.wait(3600, Clock())).called


def test_a_service_that_is_started_while_it_drains_keeps_its_new_connections() -> None:
    bench = Bench()
    old = bench.connect(50001)
    bench.service.stopService()
    bench.service.startService()
    new = bench.connect(50002)
    bench.reactor.advance(5)
    assert (old.disconnecting, new.disconnecting) == (True, False)
    assert bench.service.record.state is State.LISTENING


def test_a_service_that_is_still_full_when_it_is_started_again_leaves_clients_waiting() -> None:
    bench = Bench(max_connections=1, when_full=WAIT)
    old = bench.connect()
    bench.service.stopService()
    bench.service.startService()
    states = [bench.service.record.state]
    bench.lose(old, ConnectionDone())
    states.append(bench.service.record.state)
    assert states == [State.PAUSED, State.LISTENING]


def test_every_stop_that_waits_for_a_connection_hears_of_its_end() -> None:
    bench = Bench()
    transport = bench.connect()
    stops = [bench.service.stopService() for _ in range(3)]
    bench.lose(transport, ConnectionDone())
    assert [stop.called for stop in stops] == [True] * 3
    assert bench.reactor.getDelayedCalls() == []


def test_every_stop_can_be_hurried() -> None:
    bench = Bench()
    bench.connect()
    stops = [bench.service.stopService() for _ in range(3)]
    bench.service.hurry()
    bench.service.hurry()
    assert [stop.called for stop in stops] == [True] * 3


def test_a_transport_that_closes_at_once_leaves_no_timer() -> None:
    class Transport(SocketTransport):
        def loseConnection(self) -> None:
            super().loseConnection()
            Bench.lose(self, ConnectionDone())

    bench = Bench(replies=1)
    transport = bench.connect(transport=Transport())
    say(transport, b"x")
    assert bench.service.disconnect(bench.only().id)
    assert bench.reactor.getDelayedCalls() == []


class DatagramBench:
    """A datagram service on an in-memory reactor, with a real socket."""

    def __init__(self, reply: IReply, fast_path: bool = False, **options: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.ledger = Ledger(self.reactor.seconds)
        self.context = ServiceContext(cast(IReactor, self.reactor), self.ledger, 5.0, fast_path)
        listen = (parse_datagram("udp:0:interface=127.0.0.1", PLACE),)
        self.spec = ServiceSpec("s", "udp", listen, PLACE, **options)
        made = DatagramKind("udp").serve(self.spec, reply, self.context)
        assert isinstance(made, DatagramService)
        self.service = made
        self.service.privilegedStartService()
        self.service.startService()

    def receive(self, *datagrams: bytes, port: int = 50001) -> None:
        """Receive datagrams from a peer; the answers go to an unused port."""
        [reader] = self.reactor.getReaders()
        assert isinstance(reader, DatagramSocket)
        assert reader.received is not None
        for data in datagrams:
            reader.received(reader, data, ("127.0.0.1", port), b"")

    def reasons(self) -> list[EndReason | None]:
        """Return the reasons for the ends of the flows."""
        return [flow.reason for flow in self.ledger.all_connections()]


def datagrams(reply: IReply | None = None, **options: Any) -> DatagramBench:
    return DatagramBench(reply or Echo(), **options)


def test_the_longest_quiet_flow_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_FLOWS", 2)
    bench = datagrams()
    bench.receive(b"a", port=50001)
    bench.receive(b"b", port=50002)
    bench.receive(b"a", port=50001)
    bench.receive(b"c", port=50003)
    assert bench.reasons() == [None, EndReason.EVICTED, None]
    bench.service.stopService()


def test_quiet_flows_end_however_many_rounds_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "_SWEEP", 2)
    bench = datagrams(idle_timeout=10.0)
    for port in range(50001, 50006):
        bench.receive(b"x", port=port)
    bench.reactor.advance(5)
    bench.receive(b"x", port=50001)
    bench.reactor.advance(5)
    assert bench.reasons() == [None] + [EndReason.IDLE] * 4
    bench.reactor.advance(5)
    assert bench.service.record.active == 0
    assert bench.reactor.getDelayedCalls() == []
    bench.service.stopService()


def test_a_reply_that_fails_ends_its_flow_only() -> None:
    bench = datagrams(ScriptedReply(lambda: Script(ValueError("no"), b"unused")))
    bench.receive(b"x", port=50001)
    assert bench.reasons() == [EndReason.ERROR]
    bench.receive(b"x", port=50002)
    assert bench.service.record.errors == 2
    bench.service.stopService()


def test_the_reply_that_failed_a_flow_is_named_though_the_section_has_another_one_now() -> None:
    bench = datagrams(ScriptedReply(lambda: Script(b"x", ValueError("no"))))
    bench.receive(b"x")
    other = ScriptedReply(Script)
    bench.service.reconfigure(replace(bench.spec, reply="other"), other, bench.context)
    with capturedLogs() as events:
        bench.receive(b"x")
    assert [formatEvent(event) for event in events] == ["The reply echo failed"]
    bench.service.stopService()


def test_a_socket_that_the_reactor_gives_up_is_no_service_any_more() -> None:
    bench = datagrams()
    bench.receive(b"x")
    [reader] = bench.reactor.getReaders()
    address = bench.service.record.listeners[0].address
    with capturedLogs() as events:
        reader.connectionLost(Failure(MemoryError("no")))
    assert bench.service.record.state is State.FAILED
    assert bench.service.record.listeners == ()
    assert bench.reasons() == [EndReason.STOP]
    [event] = events
    assert formatEvent(event) == f"The socket at {address} failed, and s has stopped: no"
    bench.service.startService()
    bench.receive(b"x")
    bench.service.stopService()


def test_a_flow_goes_on_one_datagram_at_a_time_while_there_is_no_memory_for_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = datagrams(fast_path=True)
    [reader] = bench.reactor.getReaders()
    address = bench.service.record.listeners[0].address
    shortages = [OSError(errno.ENOMEM, "Cannot allocate memory")]

    def batch() -> Batch:
        if shortages:
            raise shortages.pop()
        return Batch()

    monkeypatch.setattr(datagram_socket, "Batch", batch)
    with udp_client() as client:
        client.connect((address.host, address.port))
        for _ in range(2):
            client.send(b"x")
            reader.doRead()
            assert client.recv(10) == b"x"
    assert bench.reasons() == [None]
    assert bench.service.record.bytes_out == 2
    bench.service.stopService()


def test_a_datagram_is_an_error_where_the_system_cannot_tell_whether_many_got_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = datagrams()
    [reader] = bench.reactor.getReaders()

    def out_of_descriptors(source: bytes) -> bool:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(reader, "is_for_many", out_of_descriptors)
    bench.receive(b"x")
    assert (bench.service.record.errors, bench.reasons()) == (1, [])
    monkeypatch.undo()
    bench.receive(b"x")
    assert bench.reasons() == [None]
    bench.service.stopService()


def test_a_conversation_that_cannot_begin_is_counted() -> None:
    def fail() -> IConversation:
        message = "no"
        raise ValueError(message)

    bench = datagrams(ScriptedReply(fail))
    bench.receive(b"x")
    assert (bench.service.record.errors, bench.reasons()) == (1, [])
    bench.service.stopService()


def test_a_reply_that_is_no_bytes_is_an_error_however_long_it_is() -> None:
    bench = datagrams(ScriptedReply(lambda: Script(cast("bytes", "no bytes at all"))))
    bench.receive(b"x")
    assert (bench.service.record.errors, bench.service.record.refusals) == (1, {})
    bench.service.stopService()


def test_a_datagram_that_the_system_does_not_take_is_an_error_and_not_sent() -> None:
    bench = datagrams()
    bench.receive(bytes(70000))
    assert (bench.service.record.errors, bench.service.record.writes) == (1, 0)
    bench.service.stopService()


def test_a_reply_that_says_nothing_sends_nothing() -> None:
    bench = datagrams(ScriptedReply(lambda: Script(None, b"unused")))
    bench.receive(b"x")
    assert (bench.service.record.reads, bench.service.record.writes) == (1, 0)
    bench.service.stopService()


def test_an_answer_that_is_longer_than_its_question_is_not_sent() -> None:
    bench = datagrams(ScriptedReply(lambda: Script(b"longer", b"", b"same", b"unused")))
    bench.receive(b"short", b"", b"four")
    record = bench.service.record
    assert (record.reads, record.writes, record.bytes_out) == (3, 2, 4)
    assert record.refusals == {RefusalReason.AMPLIFIES: 1}
    bench.service.stopService()


def test_an_empty_datagram_has_an_empty_answer_or_none() -> None:
    bench = datagrams(ScriptedReply(lambda: Script(b"x", b"unused")))
    bench.receive(b"")
    assert (bench.service.record.writes, bench.service.record.refused) == (0, 1)
    bench.service.stopService()


def test_a_source_over_its_budget_has_no_answer_and_no_new_flow() -> None:
    bench = datagrams(limits=LimitsSpec(source_packets=RateLimit(2, 1.0)))
    bench.receive(b"x", b"x", b"x", port=50001)
    bench.receive(b"x", port=50002)
    record = bench.service.record
    assert (record.reads, record.active) == (2, 1)
    assert record.refusals == {RefusalReason.SOURCE_PACKETS: 2}
    bench.reactor.advance(1)
    bench.receive(b"x", port=50002)
    assert (record.reads, record.active) == (3, 2)
    bench.service.stopService()


def test_the_port_of_another_datagram_service_of_the_daemon_has_no_answer() -> None:
    bench = datagrams()
    other = bench.ledger.add_service("other", "udp", "echo")
    bench.ledger.bound(other, (Listener("udp", Address("192.0.2.9", 50007), None),))
    bench.receive(b"x", port=50007)
    bench.receive(b"x", port=bench.service.record.listeners[0].address.port or 0)
    bench.receive(b"x", port=7)
    assert bench.service.record.refusals == {RefusalReason.OWN_PORT: 2, RefusalReason.REFLECTOR: 1}
    assert bench.reasons() == []
    bench.ledger.unbound(other)
    bench.receive(b"x", port=50007)
    assert bench.service.record.active == 1
    bench.service.stopService()


def test_of_a_flood_of_datagrams_without_an_answer_all_are_counted_and_few_are_told() -> None:
    bench = datagrams(limits=LimitsSpec(source_packets=RateLimit(1, 3600.0)))
    events: list[Event] = []
    bench.ledger.subscribe(events.append)
    bench.receive(*[b"x"] * 1001)
    assert bench.service.record.refused == 1000
    assert [event.type for event in events].count(EventType.REFUSE) == 10
    bench.service.stopService()


def test_a_flow_can_be_forgotten_by_its_number() -> None:
    bench = datagrams()
    bench.receive(b"x")
    [flow] = bench.ledger.open_connections()
    assert bench.service.disconnect(flow.id)
    assert not bench.service.disconnect(flow.id)
    assert flow.reason is EndReason.DISCONNECT
    assert bench.service.tcp_info(flow.id) is None
    bench.service.stopService()


def test_a_stopped_service_answers_no_more_and_can_be_started_again() -> None:
    bench = datagrams()
    bench.receive(b"x")
    bench.service.stopService()
    assert bench.reactor.getReaders() == []
    assert bench.reasons() == [EndReason.STOP]
    bench.service.startService()
    assert len(bench.reactor.getReaders()) == 1
    bench.service.stopService()
