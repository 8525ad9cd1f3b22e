"""A kind from scratch: the reply is asked for one whole line at a time."""

from twisted.protocols.basic import LineReceiver

from sockd.plugin import (
    Address,
    CountedConnection,
    CustomService,
    EndReason,
    Listener,
    StreamKindBase,
)


class LineConnection(CountedConnection, LineReceiver):
    delimiter = b"\n"

    def connectionMade(self) -> None:
        super().connectionMade()
        self.conversation = self.service.reply.converse(self.service.spec, self.record.peer)

    def lineReceived(self, line: bytes) -> None:
        answer = self.conversation.answer(line)
        if answer is not None:
            self.send(answer + b"\n")
        if self.conversation.done:
            self.close(EndReason.REPLIES)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.close(EndReason.ERROR)


class Lines(StreamKindBase):
    def connection(
        self, service: CustomService, listener: Listener, peer: Address
    ) -> CountedConnection:
        return LineConnection(service, listener, peer)


lines = Lines("lines")
