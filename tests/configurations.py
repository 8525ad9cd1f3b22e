"""Kinds and replies that do nothing, for tests of the configuration, and how to read a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zope.interface import implementer

from sockd.config.load import parse
from sockd.errors import ConfigurationError
from sockd.interfaces import INetworkService, IReply, IServiceKind
from sockd.replies.echo import Echo
from sockd.replies.upper import Upper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sockd.config.specs import Configuration, ServiceSpec
    from sockd.config.values import Option
    from sockd.services.context import ServiceContext

FILE = "lab.ini"
SERVICE = "[service:echo]\nkind = tcp\nlisten = tcp:65432:interface=127.0.0.1\n"


@implementer(IServiceKind)
@dataclass(eq=False)
class FakeKind:
    """A kind that serves nothing."""

    name: str
    datagrams: bool = False
    options: Sequence[Option[object]] = field(default=())

    def serve(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Refuse to."""
        raise NotImplementedError


KINDS: Mapping[str, IServiceKind] = {
    "tcp": FakeKind("tcp"),
    "multi": FakeKind("multi"),
    "udp": FakeKind("udp", datagrams=True),
}
REPLIES: Mapping[str, IReply] = {"echo": Echo(), "upper": Upper()}


def read(text: str, missing: str = "", file: str = FILE) -> Configuration:
    """Return the configuration of a text, or raise its errors."""
    return parse(file, text, KINDS, REPLIES, missing)


def errors(text: str, missing: str = "", file: str = FILE) -> list[str]:
    """Return the lines that people see; none where the text is right."""
    try:
        read(text, missing, file)
    except ConfigurationError as error:
        return str(error).split("\n")
    return []
