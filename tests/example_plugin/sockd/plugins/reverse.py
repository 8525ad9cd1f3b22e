"""A reply: what was said, backwards."""

from zope.interface import implementer

from sockd.plugin import Address, IConversation, IReply, ServiceSpec


@implementer(IConversation)
class Backwards:
    done = False

    def greet(self) -> bytes:
        return b""

    def answer(self, data: bytes) -> bytes | None:
        return data[::-1]


@implementer(IReply)
class Reverse:
    name = "reverse"
    identity = False
    options = ()

    def converse(self, service: ServiceSpec, peer: Address) -> IConversation:
        return Backwards()


reverse = Reverse()
