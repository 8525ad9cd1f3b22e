"""The UDP flows of a service: one for each peer address and port at each socket.

A flow ends when it is idle. The table is bounded: when it is full, the least recently active flow
is evicted.
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
"""The maximum number of flows of a service, to bound its memory."""

_SWEEP = 500
"""The maximum number of flows that are ended in one reactor turn."""

FlowKey = tuple[DatagramSocket, Peer, bytes]
"""The socket, the peer in that socket's form, and the local address from the kernel."""


class Flow:
    """A flow: the state of one peer between two datagrams.

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
    """The open flows of a service, least recently active first.

    :ivar timeout: the idle timeout of a flow, in seconds.
    :ivar get: returns the flow of a key, or ``None``.
    :ivar touch: moves the flow of a key to the end, as the most recently active one.
    """

    def __init__(self, reactor: IReactor, ledger: Ledger, timeout: float) -> None:
        self._reactor = reactor
        self._ledger = ledger
        self.timeout = timeout
        self._sweep_call: IDelayedCall | None = None
        self._keys: dict[int, FlowKey] = {}
        self._replace(())

    def __contains__(self, key: FlowKey) -> bool:
        """Return whether a key has an open flow."""
        return key in self._flows

    def add(self, key: FlowKey, flow: Flow) -> None:
        """Add a flow; start the idle timer if it does not run."""
        self._flows[key] = flow
        self._keys[flow.record.id] = key
        if self._sweep_call is None:
            self._sweep_call = self._reactor.callLater(self.timeout, self._sweep)

    def make_room(self) -> None:
        """Evict the least recently active flow if the table is full."""
        if len(self._flows) >= MAX_FLOWS:
            self.end(next(iter(self._flows)), EndReason.EVICTED)

    def end(self, key: FlowKey, reason: EndReason) -> None:
        """End the flow of a key, if there is one."""
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
        """End the flows of the given sockets."""
        for key in [key for key in self._flows if key[0] in sockets]:
            self.end(key, EndReason.STOP)

    def end_all(self) -> None:
        """End all flows and stop the idle timer."""
        while self._flows:
            self.end(next(iter(self._flows)), EndReason.STOP)
        if self._sweep_call is not None and self._sweep_call.active():
            self._sweep_call.cancel()
        self._sweep_call = None

    def rename(self, name: Callable[[FlowKey], FlowKey]) -> None:
        """Replace the key of each flow."""
        self._replace([(name(key), flow) for key, flow in self._flows.items()])
        self._keys = {flow.record.id: key for key, flow in self._flows.items()}

    def change_timeout(self, timeout: float) -> None:
        """Change the idle timeout, also of open flows.

        :param timeout: in seconds.
        """
        self.timeout = timeout
        if self._sweep_call is not None:
            self._sweep_call.reset(0)

    def _replace(self, flows: Iterable[tuple[FlowKey, Flow]]) -> None:
        self._flows: OrderedDict[FlowKey, Flow] = OrderedDict(flows)
        # Bound methods: they are called for every datagram.
        self.get = self._flows.get
        self.touch = self._flows.move_to_end

    def _sweep(self) -> None:
        """End idle flows; the least recently active flow comes first."""
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
