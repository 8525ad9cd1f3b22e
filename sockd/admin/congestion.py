"""Flow control for clients that do not read what is sent to them.

Nothing is read from such a client until its output is sent. SSH and telnet answer some messages
automatically, even before the login, and a client could fill the output buffer with the answers.
"""

from __future__ import annotations

from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer


class IStream(IConsumer, IPushProducer):
    """The interfaces that Twisted's stream transports provide."""


@implementer(IPushProducer)
class Congestion:
    """A producer that tracks whether a connection's output buffer is full.

    :ivar is_on: whether it is full.
    """

    def __init__(self, transport: IStream) -> None:
        self._transport = transport
        self.is_on = False
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Handle a full output buffer: stop reading from the client."""
        self.is_on = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Handle an empty output buffer: continue to read from the client.

        A connection that is closing completes the close when its producer is unregistered.
        """
        self.is_on = False
        self._transport.unregisterProducer()
        self._transport.registerProducer(self, True)
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """Handle the end of the connection."""
        self.is_on = True
