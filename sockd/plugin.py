"""Everything that a plugin imports, in one module. ``docs/plugins.md`` explains it.

- a reply: :class:`IReply`, :class:`IConversation`, :class:`Address`, :class:`ServiceSpec`
- options: :class:`Option`, and the parsers of its text
- a variant of a kind: :class:`StreamKind`, :class:`DatagramKind`
- a kind from scratch: :class:`StreamKindBase`, :class:`CustomService`, :class:`CountedConnection`,
  :class:`EndReason`, :class:`Listener`
"""

from __future__ import annotations

from sockd.config.specs import ServiceSpec
from sockd.config.values import Option, boolean, choice, duration, integer, rate, size
from sockd.errors import InvalidValue
from sockd.interfaces import IConversation, INetworkService, IReply, IServiceKind
from sockd.model.address import Address
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener
from sockd.services.context import ServiceContext
from sockd.services.custom import CountedConnection, CustomService, StreamKindBase
from sockd.services.datagram import DatagramKind
from sockd.services.stream import StreamKind

__all__ = [
    "Address",
    "Connection",
    "CountedConnection",
    "CustomService",
    "DatagramKind",
    "EndReason",
    "IConversation",
    "INetworkService",
    "IReply",
    "IServiceKind",
    "InvalidValue",
    "Listener",
    "Option",
    "RefusalReason",
    "ServiceContext",
    "ServiceSpec",
    "StreamKind",
    "StreamKindBase",
    "boolean",
    "choice",
    "duration",
    "integer",
    "rate",
    "size",
]
