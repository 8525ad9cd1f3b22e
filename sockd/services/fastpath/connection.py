"""A connection that is echoed on the fast path while the kernel accepts all output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import implementer

from sockd.net.transport import PatientServer
from sockd.services.connection import StreamConnection
from sockd.services.fastpath.fastpath import IFastPathConnection

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sockd.model.address import Address
    from sockd.model.reasons import EndReason
    from sockd.model.records import Listener
    from sockd.services.fastpath.fastpath import FastPath
    from sockd.services.host import ConnectionHost


@implementer(IFastPathConnection)
class FastPathConnection(StreamConnection):
    """A connection of a service that may bypass its reply.

    Twisted calls :meth:`resumeProducing` at the start and whenever its write buffer is empty. The
    connection then enters the fast path, until the kernel does not accept all output.

    :param fast_path: the fast path of the service.
    """

    def __init__(
        self,
        service: ConnectionHost,
        listener: Listener,
        peer: Address,
        via: Address | None,
        fast_path: FastPath,
    ) -> None:
        super().__init__(service, listener, peer, via)
        self._fast_path: FastPath | None = fast_path

    def first_data(self, data: bytes) -> None:
        """Answer input that was read before this protocol was attached to the transport.

        The connection leaves the fast path until the answer is sent, to keep the order of bytes.
        """
        self._leave_fast_path()
        super().first_data(data)

    def hang_up(self, reason: EndReason) -> None:
        """Leave the fast path, and close the connection soon, whatever the peer does."""
        self._leave_fast_path()
        super().hang_up(reason)

    def resumeProducing(self) -> None:
        """Resume reading, on the fast path if it can be entered."""
        if self._fast_path is None:
            super().resumeProducing()
            return
        self._note_progress()
        try:
            self._fast_path.enter(self.transport.getHandle(), self._record, self)
        except OSError:
            self.fast_path_closed()

    def send_blocked(self, rest: bytes) -> None:
        """Write the rest to the transport, which calls :meth:`resumeProducing` when it is sent."""
        self._is_stalled = True
        self.transport.write(rest)

    def fast_path_closed(self) -> None:
        """Continue as an ordinary connection."""
        self._fast_path = None
        self.transport.unregisterProducer()
        self._begin_reading()

    def ended(self, reason: Failure) -> None:
        """Close the transport as the reactor would; all output has been sent."""
        self.transport.connectionLost(reason)

    def _begin_reading(self) -> None:
        # Transports of other classes have started to read, and a greeting may not be sent yet.
        if not isinstance(self.transport, PatientServer) or self._record.writes:
            self._fast_path = None
        if self._fast_path is None:
            super()._begin_reading()
        else:
            self.transport.registerProducer(self, False)

    def _leave_fast_path(self) -> None:
        if self._fast_path is not None:
            self._fast_path.leave(self.transport.getHandle())
