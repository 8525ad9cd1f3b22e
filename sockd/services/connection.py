"""One stream connection: what it reads is answered, counted and written, with backpressure.

A connection ends in one of three ways. The peer closes its side: what is still to be said is
written, then the socket closes. The service has said its last reply: the sending side closes at
once, and input is read and dropped until the peer closes too, since a socket that is closed with
input unread makes the kernel send a reset, which can overtake the reply. Or somebody wants it
gone: what is on its way gets a moment to leave.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import Attribute, implementer

from sockd.interfaces import IConversation
from sockd.logger import PartLogger
from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener
from sockd.net.server_endpoints import known_address
from sockd.net.tcp_info import seconds_since_send, tcp_view, unread
from sockd.net.transport import PatientServer, SelfStarter, socket_transport
from sockd.services.fastpath.fastpath import FastPath, IFastPathConnection
from sockd.services.said import said

if TYPE_CHECKING:
    import socket

    from sockd.services.host import ConnectionHost

FINISH_TIMEOUT = 1.0
"""After the last reply, how long to read on for a peer that does not close, in seconds."""

TLS_CLOSE_TIMEOUT = 30.0
"""Over TLS, which has no half-close here: how long the peer may take to say goodbye, in seconds."""

IDLE_RECHECK = 0.05
"""How much later somebody is looked at again who has said something, in seconds."""

CLOSE_TIMEOUT = 2.0
"""When somebody closes a connection, how long what is on its way may take, in seconds."""

_BREAKABLE = (None, EndReason.EOF, EndReason.REPLIES, EndReason.MAX_BYTES)
"""A connection that is ending well may still be broken off by its peer."""


class IStreamTransport(ITCPTransport, IConsumer, IPushProducer):
    """What Twisted's stream transports are, TLS over them included."""

    disconnecting: bool = Attribute("True once it closes as soon as all is written.")

    protocol: IProtocol = Attribute("Who is told what happens to it.")

    def getHandle() -> socket.socket:
        """Return the socket; TLS returns its own object."""

    def connectionLost(reason: Failure) -> None:
        """Close the socket and tell the protocol: what the reactor does at the end."""


@implementer(IHalfCloseableProtocol, IPushProducer, IFastPathConnection)
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
        self._conversation: IConversation | None = None
        self._reason: EndReason | None = None
        self._is_stalled = False
        self._idle_check: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._fast_path: FastPath | None = None
        self._lifetime: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Enter the connection in the ledger and greet the peer."""
        transport = self.transport
        local = self._listener.address
        if local.is_for_all:
            local = known_address(transport.getHost())
        self._record: Connection = self._service.opened(
            self, self._listener, local, self._peer, self._via
        )
        self._write = _writer(transport)
        self._watch_idleness()
        self._watch_age()
        try:
            self._conversation = self._service.reply.converse(self._service.spec, self._peer)
            self._greet(self._conversation)
        except Exception:  # the accepting port must not see it: it would leave the socket open
            self._fail()
        # Not before the greeting: TLS holds that back until the handshake is done, and meanwhile
        # pauses its producer, which would leave the handshake unread.
        if self._conversation is not None:
            self._fast_path = self._suitable_fast_path()
            transport.registerProducer(self, self._fast_path is None)
            if self._fast_path is None:
                transport.resumeProducing()

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
        if self._conversation is not None:
            self._finish(EndReason.MAX_BYTES)

    def first_words(self, data: bytes) -> None:
        """Answer what was read before this connection was made.

        The lane must not answer what comes next before this is sent; then it goes on.
        """
        if self._fast_path is not None:
            self._fast_path.leave(self.transport.getHandle())
        self.dataReceived(data)

    def readConnectionLost(self) -> None:
        """Write what is still to be said to a peer that says no more, then close."""
        if self._reason is None:
            self._reason = EndReason.EOF
        self._conversation = None
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Wait a little for the peer to close too, now that it has the last reply and the end."""
        self._set_deadline(FINISH_TIMEOUT, self.transport.loseConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Enter the end of the connection in the ledger."""
        self._conversation = None
        for call in (self._idle_check, self._deadline, self._lifetime):
            if call is not None and call.active():
                call.cancel()
        self._service.closed(self._record, self._reason_for(reason))

    def send_blocked(self, rest: bytes) -> None:
        """Send what the kernel did not take; then Twisted asks for more, and the lane goes on."""
        self._is_stalled = True
        self.transport.write(rest)

    def fast_path_closed(self) -> None:
        """Go on as connections do that never were on a lane."""
        self._fast_path = None
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        self.transport.resumeProducing()

    def ended(self, reason: Failure) -> None:
        """Close: this is what the reactor would do, and nothing is left to be sent."""
        self.transport.connectionLost(reason)

    def hang_up(self, reason: EndReason) -> None:
        """Close the connection soon, whatever the peer does."""
        if self._fast_path is not None:
            self._fast_path.leave(self.transport.getHandle())
        if self._reason is None:
            self._reason = reason
        self._conversation = None
        self._set_deadline(CLOSE_TIMEOUT, self.transport.abortConnection)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def tcp_info(self) -> dict[str, object] | None:
        """Return the kernel's view of the connection."""
        return tcp_view(self._socket_transport().getHandle())

    def pauseProducing(self) -> None:
        """Read no more until the peer has taken what it was told."""
        self._is_stalled = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on: all that was said has been handed to the kernel.

        Where there is a lane, Twisted asks for more each time that it has sent all, and once at the
        start: from here on the lane does both, until the kernel does not take something.
        """
        self._is_stalled = False
        self._record.last_activity = self._reactor.seconds()
        if self._fast_path is not None:
            try:
                self._fast_path.enter(self.transport.getHandle(), self._record, self)
            except OSError:
                self.fast_path_closed()
        else:
            self._resume_reading()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""

    def _resume_reading(self) -> None:
        self.transport.resumeProducing()
        if self._socket_transport().disconnecting:
            # A TLS peer has said goodbye, and the socket closes once it has no producer any more.
            self.transport.unregisterProducer()

    def _take(self, data: bytes) -> None:
        self._record.received(len(data), self._reactor.seconds())
        if self._conversation is not None:
            try:
                self._answer(self._conversation, data)
            except Exception:  # TLS must not see it: it would never say that the connection is lost
                self._fail()

    def _answer(self, conversation: IConversation, data: bytes) -> None:
        is_last = False
        answer = conversation.answer(data)
        if answer is not None:
            self._say(answer)
            self._replies_left -= 1
            is_last = self._replies_left == 0
        if is_last or conversation.done:
            self._finish()

    def _greet(self, conversation: IConversation) -> None:
        greeting = conversation.greet()
        if greeting:
            self._say(greeting)
        if conversation.done:
            self._finish()

    def _say(self, data: bytes) -> None:
        self._record.sent(len(said(data)), self._reactor.seconds())
        self._write(data)

    def _fail(self) -> None:
        """Log the exception that the reply has just raised, and hang up."""
        self._log.failure("The reply {reply} failed", reply=self._reply)
        self.hang_up(EndReason.ERROR)

    def _finish(self, reason: EndReason = EndReason.REPLIES) -> None:
        """Close the sending side after the last reply, and drop what still comes in."""
        self._reason = reason
        self._conversation = None
        self.transport.unregisterProducer()
        if isinstance(self.transport, ProtocolWrapper):
            self.transport.loseConnection()
            self._set_deadline(TLS_CLOSE_TIMEOUT, self.transport.abortConnection)
        else:
            self.transport.loseWriteConnection()
        # A slow reader's connection is paused, and could not see that the peer closes too.
        self._is_stalled = False
        self.transport.resumeProducing()

    def _set_deadline(self, seconds: float, call: Callable[[], None]) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._reactor.callLater(seconds, call)

    def _watch_idleness(self) -> None:
        timeout = self._service.spec.idle_timeout
        if timeout:
            self._idle_check = self._reactor.callLater(timeout, self._check_idleness, timeout)

    def _watch_age(self) -> None:
        lifetime = self._service.spec.limits.max_lifetime
        if lifetime:
            self._lifetime = self._reactor.callLater(lifetime, self.hang_up, EndReason.LIFETIME)

    def _check_idleness(self, timeout: float, is_sure: bool = False) -> None:
        """Close the connection if it was idle; one timer serves however much traffic.

        A slow reader is not idle: the kernel goes on sending what was handed over long ago. Nor is
        whoever has said what was not read yet, after the process stood still: it is looked at again
        after a turn of the reactor, and, where one turn is not enough for all, a little later.
        """
        quiet = self._reactor.seconds() - self._record.last_activity
        quiet = min(quiet, seconds_since_send(self._socket_transport().getHandle()))
        if quiet < timeout:
            self._idle_check = self._reactor.callLater(
                timeout - quiet, self._check_idleness, timeout
            )
        elif not is_sure:
            self._idle_check = self._reactor.callLater(0, self._check_idleness, timeout, True)
        elif self._is_stalled or not unread(self._socket_transport().getHandle()):
            self.hang_up(EndReason.IDLE)
        else:
            self._idle_check = self._reactor.callLater(
                IDLE_RECHECK, self._check_idleness, timeout, True
            )

    def _suitable_fast_path(self) -> FastPath | None:
        """Return the lane, if there is nothing to do but to send back what is received."""
        is_plain = self._listener.transport == "tcp" and isinstance(self.transport, PatientServer)
        is_limited = self._replies_left or self._byte_limit < sys.maxsize
        has_said_something = self._record.writes
        return (
            self._service.fast_path if is_plain and not (is_limited or has_said_something) else None
        )

    def _reason_for(self, failure: Failure) -> EndReason:
        was_lost = isinstance(failure.value, ConnectionLost)
        if was_lost and self._reason in _BREAKABLE and self._tells_a_reset():
            return EndReason.RESET
        if self._reason is not None:
            return self._reason
        is_plain_end = was_lost or isinstance(failure.value, ConnectionDone)
        return EndReason.EOF if is_plain_end else EndReason.ERROR

    def _tells_a_reset(self) -> bool:
        # A TLS peer that leaves without a close_notify looks like a reset, and many do; so does a
        # unix peer that closes both its sides at once.
        if self._is_stalled:
            return True
        return self._listener.transport == "tcp" and not isinstance(self.transport, ProtocolWrapper)

    def _socket_transport(self) -> IStreamTransport:
        """Return what is under TLS and whatever else wraps the socket."""
        return cast("IStreamTransport", socket_transport(self.transport))


def _writer(transport: IStreamTransport) -> Callable[[bytes], None]:
    """Return what writes to a transport.

    Over TLS, ``transport.write`` gathers what is small until the next round of the reactor, and
    drops it if the peer's goodbye came along with the question.
    """
    if isinstance(transport, TLSMemoryBIOProtocol):
        return partial(TLSMemoryBIOProtocol.write, transport)
    return transport.write


class Refusal(Protocol):
    """Turns a client away: closes at once, and leaves no socket open behind TLS either."""

    transport: IStreamTransport

    def __init__(
        self, service: ConnectionHost, listener: Listener, peer: Address, reason: RefusalReason
    ) -> None:
        self._service = service
        self._listener = listener
        self._peer = peer
        self._reason = reason

    def connectionMade(self) -> None:
        """Enter the refusal in the ledger and close.

        Where nothing is under way the socket is closed here and now, not in the next round of the
        reactor: there may be more such clients than descriptors.
        """
        self._service.refused(self._listener, self._peer, self._reason)
        if isinstance(self.transport, Server):
            self.transport.connectionLost(connectionDone)
        else:
            self.transport.loseConnection()
