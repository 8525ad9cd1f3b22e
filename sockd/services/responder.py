"""The handling of a service's datagrams: admission, flows, replies and counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sockd.limits.buckets import Bucket, RateLimit
from sockd.limits.budget import TokenBuckets
from sockd.limits.datagram_policy import DatagramPolicy
from sockd.model.reasons import EndReason, RefusalReason
from sockd.net.datagram_socket import DatagramSocket, Peer, peer_address
from sockd.net.mmsg import HAS_RECVMMSG, Batch
from sockd.services.answers import answer_bytes
from sockd.services.bypass import may_bypass_reply
from sockd.services.flows import Flow, FlowKey, FlowTable
from sockd.support.logger import PartLogger

if TYPE_CHECKING:
    from sockd.config.specs import ServiceSpec
    from sockd.interfaces import IReply
    from sockd.model.records import Listener, ServiceRecord
    from sockd.services.context import ServiceContext

_REPORTED = RateLimit(10, 10.0)
"""The rate limit of individual reports of refused datagrams; all of them are counted."""


class DatagramResponder:
    """The handler of a service's datagrams.

    :ivar listeners: the listener in the ledger of each socket of the service.
    """

    _log = PartLogger("sockd")

    def __init__(self, record: ServiceRecord, context: ServiceContext, spec: ServiceSpec) -> None:
        self._record = record
        self._reactor = context.reactor
        self._ledger = context.ledger
        now = context.reactor.seconds()
        self.policy = DatagramPolicy(spec.limits, self._own_ports, now)
        self._reported = Bucket(_REPORTED, now)
        self.listeners: Mapping[DatagramSocket, Listener] = {}

    def follow(
        self, spec: ServiceSpec, reply: IReply, context: ServiceContext, flows: FlowTable
    ) -> None:
        """Apply a section to new flows; open flows keep their conversations."""
        self._spec = spec
        self._reply = reply
        self._flows = flows
        self.policy.apply(spec.limits, self._reactor.seconds())
        self.may_echo = context.fast_path and HAS_RECVMMSG and may_bypass_reply(spec, reply)

    def received(self, bound: DatagramSocket, data: bytes, peer: Peer, source: bytes) -> None:
        """Answer a datagram, unless it is refused."""
        key = (bound, peer, source)
        now = self._reactor.seconds()
        flow = self._flows.get(key)
        buckets = self._buckets(key, now) if flow is None else flow.buckets
        if buckets is None:
            return
        refusal = self.policy.spend(buckets, len(data), now)
        if refusal is not None:
            self._refuse(key, refusal)
            return
        try:
            if flow is None:
                flow = self._begin(key, buckets)
            else:
                self._flows.touch(key)
            flow.record.received(len(data), now)
            self._answer(key, flow, data)
        except Exception:  # a failing reply must not close the socket that all flows share
            name = self._spec.reply if flow is None else flow.reply
            self._log.failure("The reply {reply} failed", reply=name)
            self._fail(key)

    def echo(self, bound: DatagramSocket, batch: Batch) -> int:
        """Echo the datagrams of a batch up to the first one that needs :meth:`received`.

        :return: the number of datagrams handled.
        """
        now = self._reactor.seconds()
        sizes = batch.sizes()
        find, touch, spend = self._flows.get, self._flows.touch, self.policy.spend
        flows: list[Flow] = []
        for sender, size in zip(batch.senders(), sizes, strict=True):
            key = (bound, sender, b"")
            flow = find(key)
            if flow is None or not flow.is_echoed:
                break
            if spend(flow.buckets, size, now):
                break
            touch(key)
            flow.record.echoed(size, now)
            flows.append(flow)
        count = len(flows)
        self._record.echoed(count, sum(sizes[:count]))
        for index in batch.send_back(bound.fileno(), count):
            flows[index].record.unsent(sizes[index])
            self._record.errors += 1
        return count

    def _answer(self, key: FlowKey, flow: Flow, data: bytes) -> None:
        is_last = False
        answer = flow.conversation.answer(data)
        if answer is not None:
            if len(answer_bytes(answer)) > len(data):
                self._refuse(key, RefusalReason.AMPLIFIES)
            else:
                self._send(key, flow, answer)
            flow.replies_left -= 1
            is_last = flow.replies_left == 0
        if is_last or flow.conversation.done:
            self._flows.end(key, EndReason.REPLIES)

    def _send(self, key: FlowKey, flow: Flow, answer: bytes) -> None:
        bound, peer, source = key
        try:
            bound.send(answer, peer, source)
        except OSError:
            self._record.errors += 1
        else:
            flow.record.sent(len(answer), self._reactor.seconds())

    def _buckets(self, key: FlowKey, now: float) -> TokenBuckets | None:
        """Return the budget of a new flow; ``None`` if the datagram is refused."""
        bound, peer, source = key
        address = peer_address(peer)
        try:
            is_for_many = bound.is_for_many(source)
        except OSError:  # most likely out of descriptors
            self._record.errors += 1
            return None
        refusal = self.policy.refusal(address, is_for_many)
        if refusal is not None:
            self._refuse(key, refusal)
            return None
        return self.policy.buckets(address, now)

    def _refuse(self, key: FlowKey, reason: RefusalReason) -> None:
        """Count a refused datagram, and report it within the rate limit."""
        bound, peer, _ = key
        if self._reported.take(_REPORTED, self._reactor.seconds()):
            self._ledger.refuse(self._record, self.listeners[bound], peer_address(peer), reason)
        else:
            self._record.count_refusal(reason)

    def _own_ports(self) -> set[int | None]:
        """Return the ports at which datagram services of this daemon listen."""
        return {
            listener.address.port
            for record in self._ledger.services.values()
            for listener in record.listeners
            if listener.transport == "udp"
        }

    def _begin(self, key: FlowKey, buckets: TokenBuckets) -> Flow:
        self._flows.make_room()
        bound, peer, source = key
        address = peer_address(peer)
        spec = self._spec
        conversation = self._reply.converse(spec, address)
        record = self._ledger.open(
            self._record, self.listeners[bound], bound.local(source), address
        )
        flow = Flow(record, conversation, spec.reply, spec.replies, buckets, self.may_echo)
        self._flows.add(key, flow)
        return flow

    def _fail(self, key: FlowKey) -> None:
        if key in self._flows:
            self._flows.end(key, EndReason.ERROR)
        else:
            self._record.errors += 1
