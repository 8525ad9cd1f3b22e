"""A reply with an option of its own: what was said, so many times."""

from typing import cast

from zope.interface import implementer

from sockd.plugin import Address, IConversation, IReply, Option, ServiceSpec, integer


@implementer(IConversation)
class Repeating:
    done = False

    def __init__(self, times: int) -> None:
        self._times = times

    def greet(self) -> bytes:
        return b""

    def answer(self, data: bytes) -> bytes | None:
        return data * self._times


@implementer(IReply)
class Repeat:
    name = "repeat"
    identity = False
    options = (Option("times", integer(1, 10), "2"),)

    def converse(self, service: ServiceSpec, peer: Address) -> IConversation:
        return Repeating(cast("int", service.settings["times"]))


repeat = Repeat()
