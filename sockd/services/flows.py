"""The UDP flows of a service: one for each peer address and port at each of its sockets.

A flow is kept while it has traffic. The table is bounded: the flow that was quiet longest makes
room for a new one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from sockd.model.reasons import EndReason
from sockd.net.datagram_socket import DatagramSocket, Peer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from sockd.interfaces import IConversation
    from sockd.limits.budget import TokenBuckets
    from sockd.model.ledger import Ledger
    from sockd.model.records import Connection
    from sockd.reactor import IReactor

MAX_FLOWS = 20_000
"""How many flows a service has at most, so that its memory is bounded."""

_SWEEP = 500
"""How many flows one turn of the reactor ends at most."""

FlowKey = tuple[DatagramSocket, Peer, bytes]
"""The socket, the peer as the socket names it, and the local address as the kernel told it."""


class Flow:
    """What is kept of a peer between two datagrams.

    :ivar reply: the name of the reply that answers it.
    :ivar is_echoed: whether its datagrams may be echoed in batches, without the conversation.
    """

    __slots__ = ("buckets", "conversation", "is_echoed", "record", "replies_left", "reply")

    def __init__(
        self,
        record: Connection,
        conversation: IConversation,
        reply: str,
        replies: int,
        buckets: TokenBuckets,
        is_echoed: bool,
    ) -> None:
        self.is_echoed = is_echoed
        self.buckets = buckets
        self.record = record
        self.conversation = conversation
        self.reply = reply
        self.replies_left = replies


class FlowTable:
    """The open flows of a service, the one that was quiet longest first.

    :ivar timeout: after how many seconds without traffic a flow ends.
    :ivar get: returns the flow of a key, or ``None``.
    :ivar touch: moves a flow to the end, as the one with the newest traffic.
    """

    def __init__(self, reactor: IReactor, ledger: Ledger, timeout: float) -> None:
        self._reactor = reactor
        self._ledger = ledger
        self.timeout = timeout
        self._sweep_call: IDelayedCall | None = None
        self._keys: dict[int, FlowKey] = {}
        self._replace(())

    def __contains__(self, key: FlowKey) -> bool:
        """Return whether there is a flow."""
        return key in self._flows

    def add(self, key: FlowKey, flow: Flow) -> None:
        """Add a flow."""
        self._flows[key] = flow
        self._keys[flow.record.id] = key
        if self._sweep_call is None:
            self._sweep_call = self._reactor.callLater(self.timeout, self._sweep)

    def make_room(self) -> None:
        """End the flow that was quiet longest, if there is no room for one more."""
        if len(self._flows) >= MAX_FLOWS:
            self.end(next(iter(self._flows)), EndReason.EVICTED)

    def end(self, key: FlowKey, reason: EndReason) -> None:
        """End a flow, if there is one."""
        flow = self._flows.pop(key, None)
        if flow is not None:
            del self._keys[flow.record.id]
            self._ledger.close(flow.record, reason)

    def end_number(self, number: int, reason: EndReason) -> bool:
        """End a flow by the number of its connection; return whether there was one."""
        key = self._keys.get(number)
        if key is not None:
            self.end(key, reason)
        return key is not None

    def end_of_sockets(self, sockets: Collection[DatagramSocket]) -> None:
        """End the flows of sockets that the service gives up."""
        for key in [key for key in self._flows if key[0] in sockets]:
            self.end(key, EndReason.STOP)

    def end_all(self) -> None:
        """End all of them, and the sweeps."""
        while self._flows:
            self.end(next(iter(self._flows)), EndReason.STOP)
        if self._sweep_call is not None and self._sweep_call.active():
            self._sweep_call.cancel()
        self._sweep_call = None

    def rename(self, name: Callable[[FlowKey], FlowKey]) -> None:
        """Go on with the flows under other keys."""
        self._replace([(name(key), flow) for key, flow in self._flows.items()])
        self._keys = {flow.record.id: key for key, flow in self._flows.items()}

    def change_timeout(self, timeout: float) -> None:
        """Have another timeout, which open flows follow."""
        self.timeout = timeout
        if self._sweep_call is not None:
            self._sweep_call.reset(0)

    def _replace(self, flows: Iterable[tuple[FlowKey, Flow]]) -> None:
        self._flows: OrderedDict[FlowKey, Flow] = OrderedDict(flows)
        # Bound here, since every datagram needs them.
        self.get = self._flows.get
        self.touch = self._flows.move_to_end

    def _sweep(self) -> None:
        """End the flows that were quiet too long; the one that was quiet longest is the first."""
        self._sweep_call = None
        now = self._reactor.seconds()
        for _ in range(_SWEEP):
            if not self._flows:
                return
            key, flow = next(iter(self._flows.items()))
            remaining = flow.record.last_activity + self.timeout - now
            if remaining > 0:
                self._sweep_call = self._reactor.callLater(remaining, self._sweep)
                return
            self.end(key, EndReason.IDLE)
        self._sweep_call = self._reactor.callLater(0, self._sweep)
