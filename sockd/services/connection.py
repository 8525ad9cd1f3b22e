"""One stream connection: what it reads is answered, counted and written, with backpressure.

A connection ends in one of three ways. The peer closes its side: what is still to be sent is
written, then the socket closes. The service has sent its last reply: the sending side closes at
once, and input is read and dropped until the peer closes too, since a socket that is closed with
unread input makes the kernel send a reset, which can overtake the reply. Or the service hangs up:
what is on its way gets a moment to leave.
"""

from __future__ import annotations

import sys
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from zope.interface import implementer

from sockd.model.reasons import EndReason
from sockd.net.server_endpoints import known_address
from sockd.net.stream_transport import IStreamTransport, is_wrapped, socket_transport, writer
from sockd.net.tcp_info import seconds_since_send, tcp_view, unread
from sockd.net.transport import SelfStarter
from sockd.services.answers import answer_bytes
from sockd.services.timers import ConnectionTimers
from sockd.support.logger import PartLogger

if TYPE_CHECKING:
    import socket

    from twisted.python.failure import Failure

    from sockd.interfaces import IConversation
    from sockd.model.address import Address
    from sockd.model.records import Connection, Listener
    from sockd.services.host import ConnectionHost

FINISH_TIMEOUT = 1.0
"""After the last reply, how long to read on for a peer that does not close, in seconds."""

TLS_CLOSE_TIMEOUT = 30.0
"""Over TLS, which has no half-close here: how long to wait for close_notify, in seconds."""

CLOSE_TIMEOUT = 2.0
"""After the service has hung up, how long what is on its way may take, in seconds."""


class ConnectionState(Enum):
    """Where a connection is in its life."""

    OPEN = auto()
    """Input is answered."""
    FINISHING = auto()
    """The last reply is on its way, and input is counted and dropped."""
    CLOSING = auto()
    """The socket closes once all is written, or at the deadline."""
    CLOSED = auto()


TRANSITIONS = MappingProxyType(
    {
        ConnectionState.OPEN: frozenset(
            {ConnectionState.FINISHING, ConnectionState.CLOSING, ConnectionState.CLOSED}
        ),
        ConnectionState.FINISHING: frozenset({ConnectionState.CLOSING, ConnectionState.CLOSED}),
        ConnectionState.CLOSING: frozenset({ConnectionState.CLOSING, ConnectionState.CLOSED}),
        ConnectionState.CLOSED: frozenset[ConnectionState](),
    }
)
"""The states that may follow each state."""

_MAY_BE_RESET = (None, EndReason.EOF, EndReason.REPLIES, EndReason.MAX_BYTES)
"""The reasons that a reset replaces: the connection was ending well until then."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class StreamConnection(SelfStarter):
    """Serves one client of a service.

    It is the producer of what its own transport consumes: while the transport has more to send
    than it should hold, nothing more is read.

    :param via: the balancer that relays the connection, if one does.
    """

    transport: IStreamTransport
    _log = PartLogger("sockd")

    def __init__(
        self, service: ConnectionHost, listener: Listener, peer: Address, via: Address | None = None
    ) -> None:
        self._service = service
        self._listener = listener
        self._peer = peer
        self._via = via
        self._reactor = service.reactor
        self._byte_limit = service.spec.limits.max_bytes or sys.maxsize
        self._replies_left = service.spec.replies
        self._reply = service.spec.reply
        self._state = ConnectionState.OPEN
        self._reason: EndReason | None = None
        self._is_stalled = False
        self._timers = ConnectionTimers(service.reactor, self)

    def connectionMade(self) -> None:
        """Enter the connection in the ledger and greet the peer."""
        local = self._listener.address
        if local.is_for_all:
            local = known_address(self.transport.getHost())
        self._record: Connection = self._service.opened(
            self, self._listener, local, self._peer, self._via
        )
        self._write = writer(self.transport)
        spec = self._service.spec
        self._timers.start(spec.idle_timeout, spec.limits.max_lifetime)
        try:
            self._conversation: IConversation = self._service.reply.converse(spec, self._peer)
            self._greet()
        except Exception:  # the accepting port must not see it: it would leave the socket open
            self._fail()
        # Not before the greeting: TLS holds that back until the handshake is done, and meanwhile
        # pauses its producer, which would leave the handshake unread.
        if self._state is ConnectionState.OPEN:
            self._begin_reading()

    def dataReceived(self, data: bytes) -> None:
        """Answer what was read; after the last reply, only count it.

        However the stream is cut into reads, the connection ends at the same byte: what comes
        after the last one that it may send is neither answered nor counted.
        """
        left = self._byte_limit - self._record.bytes_in
        if len(data) < left:
            self._take(data)
            return
        if left:
            self._take(data[:left])
        if self._state is ConnectionState.OPEN:
            self._finish(EndReason.MAX_BYTES)

    def first_data(self, data: bytes) -> None:
        """Answer what was read before this connection was made."""
        self.dataReceived(data)

    def readConnectionLost(self) -> None:
        """Write what is still to be sent to a peer that has closed its side, then close."""
        if self._reason is None:
            self._reason = EndReason.EOF
        self._enter(ConnectionState.CLOSING)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Wait a little for the peer to close too, now that it has the last reply and the end."""
        self._timers.set_deadline(FINISH_TIMEOUT, self.transport.loseConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Enter the end of the connection in the ledger."""
        self._enter(ConnectionState.CLOSED)
        self._timers.cancel()
        self._service.closed(self._record, self._reason_for(reason))

    def hang_up(self, reason: EndReason) -> None:
        """Close the connection soon, whatever the peer does."""
        if self._reason is None:
            self._reason = reason
        self._enter(ConnectionState.CLOSING)
        self._timers.set_deadline(CLOSE_TIMEOUT, self.transport.abortConnection)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def tcp_info(self) -> dict[str, object] | None:
        """Return the kernel's view of the connection."""
        return tcp_view(self._handle())

    def idle_time(self) -> float:
        """Return for how long nothing was received and nothing sent, in seconds.

        A slow reader is not idle: the kernel goes on sending what was handed over long ago.
        """
        quiet = self._reactor.seconds() - self._record.last_activity
        return min(quiet, seconds_since_send(self._handle()))

    def has_unread_input(self) -> bool:
        """Return whether the kernel holds input, and nothing keeps it from being read."""
        return not self._is_stalled and bool(unread(self._handle()))

    def pauseProducing(self) -> None:
        """Read no more until the peer has taken what was sent to it."""
        self._is_stalled = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on: all that was written has been handed to the kernel."""
        self._note_progress()
        self.transport.resumeProducing()
        if socket_transport(self.transport).disconnecting:
            # A TLS peer has sent close_notify, and the socket closes once it has no producer.
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""

    def _begin_reading(self) -> None:
        self.transport.registerProducer(self, True)
        self.transport.resumeProducing()

    def _note_progress(self) -> None:
        self._is_stalled = False
        self._record.last_activity = self._reactor.seconds()

    def _enter(self, state: ConnectionState) -> None:
        if state not in TRANSITIONS[self._state]:
            message = f"a connection that is {self._state.name} cannot become {state.name}"
            raise RuntimeError(message)
        self._state = state

    def _take(self, data: bytes) -> None:
        self._record.received(len(data), self._reactor.seconds())
        if self._state is ConnectionState.OPEN:
            try:
                self._answer(data)
            except (
                Exception
            ):  # TLS must not see it: it would not report that the connection is lost
                self._fail()

    def _answer(self, data: bytes) -> None:
        is_last = False
        answer = self._conversation.answer(data)
        if answer is not None:
            self._send(answer)
            self._replies_left -= 1
            is_last = self._replies_left == 0
        if is_last or self._conversation.done:
            self._finish()

    def _greet(self) -> None:
        greeting = self._conversation.greet()
        if greeting:
            self._send(greeting)
        if self._conversation.done:
            self._finish()

    def _send(self, data: bytes) -> None:
        self._record.sent(len(answer_bytes(data)), self._reactor.seconds())
        self._write(data)

    def _fail(self) -> None:
        """Log the exception that the reply has just raised, and hang up."""
        self._log.failure("The reply {reply} failed", reply=self._reply)
        self.hang_up(EndReason.ERROR)

    def _finish(self, reason: EndReason = EndReason.REPLIES) -> None:
        """Close the sending side after the last reply, and drop what still comes in."""
        self._reason = reason
        self._enter(ConnectionState.FINISHING)
        self.transport.unregisterProducer()
        if is_wrapped(self.transport):
            self.transport.loseConnection()
            self._timers.set_deadline(TLS_CLOSE_TIMEOUT, self.transport.abortConnection)
        else:
            self.transport.loseWriteConnection()
        # A slow reader's connection is paused, and could not see that the peer closes too.
        self._is_stalled = False
        self.transport.resumeProducing()

    def _reason_for(self, failure: Failure) -> EndReason:
        was_lost = isinstance(failure.value, ConnectionLost)
        if was_lost and self._reason in _MAY_BE_RESET and self._shows_a_reset():
            return EndReason.RESET
        if self._reason is not None:
            return self._reason
        is_plain_end = was_lost or isinstance(failure.value, ConnectionDone)
        return EndReason.EOF if is_plain_end else EndReason.ERROR

    def _shows_a_reset(self) -> bool:
        # A TLS peer that leaves without a close_notify looks like a reset, and many do; so does a
        # unix peer that closes both its sides at once.
        return self._is_stalled or (
            self._listener.transport == "tcp" and not is_wrapped(self.transport)
        )

    def _handle(self) -> socket.socket:
        return socket_transport(self.transport).getHandle()
