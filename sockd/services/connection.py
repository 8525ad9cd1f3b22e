"""A stream connection: input is answered, counted and written, with backpressure.

A connection ends in one of three ways:

- The peer closes its side. Pending output is written, then the socket is closed.
- The service has sent its last reply. The sending side is closed at once, and input is discarded
  until the peer closes too: the kernel sends an RST when a socket with unread input is closed, and
  the RST can overtake the reply.
- The service closes the connection. Pending output has :data:`CLOSE_TIMEOUT` to be sent.
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
"""The timeout for the peer to close after the last reply, in seconds."""

TLS_CLOSE_TIMEOUT = 30.0
"""The timeout for a TLS peer's close_notify after the last reply, in seconds.

Twisted's TLS transport has no half-close.
"""

CLOSE_TIMEOUT = 2.0
"""The timeout for pending output after the service closes the connection, in seconds."""


class ConnectionState(Enum):
    """The state of a stream connection."""

    OPEN = auto()
    """Input is answered."""
    FINISHING = auto()
    """The last reply was written; input is counted and discarded."""
    CLOSING = auto()
    """The socket is closed when all output is written, or at the deadline."""
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
"""The reasons that ``reset`` replaces when an RST arrives during an orderly close."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class StreamConnection(SelfStarter):
    """The connection of one client.

    It is a producer for its own transport: while the transport's write buffer is full, nothing is
    read.

    :param via: the load balancer that relays the connection, or ``None``.
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
        """Add the connection to the ledger and send the greeting."""
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
        except Exception:  # Twisted's port would log it and leave the socket open
            self._fail()
        # Not before the greeting: TLS buffers it until the handshake is complete and pauses its
        # producer meanwhile, so that the handshake would not be read.
        if self._state is ConnectionState.OPEN:
            self._begin_reading()

    def dataReceived(self, data: bytes) -> None:
        """Count and answer input; after the last reply, only count it.

        ``max_bytes`` takes effect at the same byte however the stream is divided into reads.
        Bytes after the limit are neither answered nor counted.
        """
        left = self._byte_limit - self._record.bytes_in
        if len(data) < left:
            self._receive(data)
            return
        if left:
            self._receive(data[:left])
        if self._state is ConnectionState.OPEN:
            self._finish(EndReason.MAX_BYTES)

    def first_data(self, data: bytes) -> None:
        """Answer input that was read before this protocol was attached to the transport."""
        self.dataReceived(data)

    def readConnectionLost(self) -> None:
        """Write pending output after the peer has closed its side, then close."""
        if self._reason is None:
            self._reason = EndReason.EOF
        self._enter(ConnectionState.CLOSING)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Wait for the peer to close its side after this side was closed."""
        self._timers.set_deadline(FINISH_TIMEOUT, self.transport.loseConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Record the end of the connection in the ledger."""
        self._enter(ConnectionState.CLOSED)
        self._timers.cancel()
        ending = _end_reason(reason, self._reason, shows_reset=self._shows_a_reset())
        self._service.closed(self._record, ending)

    def hang_up(self, reason: EndReason) -> None:
        """Close the connection within :data:`CLOSE_TIMEOUT`, whatever the peer does."""
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
        """Return the time since data was last received or sent, in seconds.

        A slow reader is not idle: the kernel may still be sending data that was written long ago.
        """
        quiet = self._reactor.seconds() - self._record.last_activity
        return min(quiet, seconds_since_send(self._handle()))

    def has_unread_input(self) -> bool:
        """Return whether the kernel holds input that will be read."""
        return not self._is_stalled and bool(unread(self._handle()))

    def pauseProducing(self) -> None:
        """Stop reading until the write buffer is empty."""
        self._is_stalled = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Resume reading: the kernel has accepted all output."""
        self._note_progress()
        self.transport.resumeProducing()
        if socket_transport(self.transport).disconnecting:
            # The TLS peer has sent close_notify; Twisted closes the socket only without a producer.
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

    def _receive(self, data: bytes) -> None:
        self._record.received(len(data), self._reactor.seconds())
        if self._state is ConnectionState.OPEN:
            try:
                self._answer(data)
            except Exception:  # Twisted's TLS would not call connectionLost after an exception
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
        """Log the current exception of the reply and close the connection."""
        self._log.failure("The reply {reply} failed", reply=self._reply)
        self.hang_up(EndReason.ERROR)

    def _finish(self, reason: EndReason = EndReason.REPLIES) -> None:
        """Close the sending side after the last reply, and discard further input."""
        self._reason = reason
        self._enter(ConnectionState.FINISHING)
        self.transport.unregisterProducer()
        if is_wrapped(self.transport):
            self.transport.loseConnection()
            self._timers.set_deadline(TLS_CLOSE_TIMEOUT, self.transport.abortConnection)
        else:
            self.transport.loseWriteConnection()
        # The connection of a slow reader is paused and would not notice that the peer closes.
        self._is_stalled = False
        self.transport.resumeProducing()

    def _shows_a_reset(self) -> bool:
        # Twisted also reports ConnectionLost for a TLS peer that closes without close_notify, as
        # many do, and for a unix peer that closes both directions at once.
        return self._is_stalled or (
            self._listener.transport == "tcp" and not is_wrapped(self.transport)
        )

    def _handle(self) -> socket.socket:
        return socket_transport(self.transport).getHandle()


def _end_reason(failure: Failure, known: EndReason | None, *, shows_reset: bool) -> EndReason:
    """Return why a connection ended.

    :param known: the reason that the service has given, or the peer by closing its side.
    :param shows_reset: whether a lost connection stands for a reset.
    """
    was_lost = isinstance(failure.value, ConnectionLost)
    if was_lost and known in _MAY_BE_RESET and shows_reset:
        return EndReason.RESET
    if known is not None:
        return known
    is_plain_end = was_lost or isinstance(failure.value, ConnectionDone)
    return EndReason.EOF if is_plain_end else EndReason.ERROR
