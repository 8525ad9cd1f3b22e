"""A connection that is echoed on the fast path for as long as there is nothing else to do."""

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
    """A connection of a service whose reply is the identity.

    Twisted asks for more each time that it has sent all, and once at the start: from then on the
    fast path reads and writes, until the kernel does not take something.

    :param fast_path: where it is echoed.
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
        """Answer what was read before this connection was made.

        The fast path must not answer what comes next before this is sent; then it goes on.
        """
        self._leave_fast_path()
        super().first_data(data)

    def hang_up(self, reason: EndReason) -> None:
        """Close the connection soon, whatever the peer does."""
        self._leave_fast_path()
        super().hang_up(reason)

    def resumeProducing(self) -> None:
        """Read on, by the fast path where there is room for it."""
        if self._fast_path is None:
            super().resumeProducing()
            return
        self._note_progress()
        try:
            self._fast_path.enter(self.transport.getHandle(), self._record, self)
        except OSError:
            self.fast_path_closed()

    def send_blocked(self, rest: bytes) -> None:
        """Send what the kernel did not take; then Twisted asks for more."""
        self._is_stalled = True
        self.transport.write(rest)

    def fast_path_closed(self) -> None:
        """Go on as an ordinary connection."""
        self._fast_path = None
        self.transport.unregisterProducer()
        self._begin_reading()

    def ended(self, reason: Failure) -> None:
        """Close: this is what the reactor would do, and nothing is left to be sent."""
        self.transport.connectionLost(reason)

    def _begin_reading(self) -> None:
        # A transport of another class reads already, and what was sent may be on its way still.
        if not isinstance(self.transport, PatientServer) or self._record.writes:
            self._fast_path = None
        if self._fast_path is None:
            super()._begin_reading()
        else:
            self.transport.registerProducer(self, False)

    def _leave_fast_path(self) -> None:
        if self._fast_path is not None:
            self._fast_path.leave(self.transport.getHandle())
