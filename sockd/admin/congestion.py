"""Whether a client takes what is sent to it: what waits for one that does not stays bounded.

Nothing more is read from it meanwhile. Both protocols have questions that are answered by
themselves, to strangers too, and each answer would wait as well.
"""

from __future__ import annotations

from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer


class IStream(IConsumer, IPushProducer):
    """What Twisted's stream transports are."""


@implementer(IPushProducer)
class Congestion:
    """Hears from a connection whether it is full.

    :ivar is_on: whether more waits to be sent than the connection likes.
    """

    def __init__(self, transport: IStream) -> None:
        self._transport = transport
        self.is_on = False
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Take note that the client is slow, and do not listen to it."""
        self.is_on = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Take note that all is sent.

        A connection that was told to close meanwhile does so once it has no producer.
        """
        self.is_on = False
        self._transport.unregisterProducer()
        self._transport.registerProducer(self, True)
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """Take note that the connection is closed."""
        self.is_on = True
