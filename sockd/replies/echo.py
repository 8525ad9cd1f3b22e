"""The reply ``echo``: the received bytes, unchanged (RFC 862)."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from sockd.config.specs import ServiceSpec
from sockd.config.values import Option
from sockd.interfaces import IConversation, IReply
from sockd.model.address import Address


@implementer(IConversation)
class _EchoConversation:
    __slots__ = ()
    done = False

    def greet(self) -> bytes:
        return b""

    def answer(self, data: bytes) -> bytes:
        return data


@implementer(IReply)
class Echo:
    """The reply ``echo``. It is stateless, so all peers share one conversation."""

    name = "echo"
    identity = True
    options: Sequence[Option[object]] = ()

    def __init__(self) -> None:
        self._conversation = _EchoConversation()

    def converse(self, service: ServiceSpec, peer: Address) -> IConversation:
        """Return the shared conversation."""
        return self._conversation
