"""The reply ``upper``: the received bytes with ASCII letters in upper case.

Other letters stay unchanged, so that a reply is never longer than its request.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from sockd.config.specs import ServiceSpec
from sockd.config.values import Option
from sockd.interfaces import IConversation, IReply
from sockd.model.address import Address


@implementer(IConversation)
class _UpperConversation:
    __slots__ = ("_strip",)
    done = False

    def __init__(self, strip: bool) -> None:
        self._strip = strip

    def greet(self) -> bytes:
        return b""

    def answer(self, data: bytes) -> bytes:
        return (data.strip() if self._strip else data).upper()


@implementer(IReply)
class Upper:
    """The reply ``upper``; ``strip = yes`` removes white space around each message."""

    name = "upper"
    identity = False
    options: Sequence[Option[object]] = ()

    def converse(self, service: ServiceSpec, peer: Address) -> IConversation:
        """Return a new conversation."""
        return _UpperConversation(service.strip)
