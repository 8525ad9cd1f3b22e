"""Answers datagrams: `udp`, each from the address and the port that it was sent to.

UDP has no connections. What the ledger shows as one is a *flow*: one peer address and port on
one local address and port, from its first datagram until it has been quiet for the idle time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.config.endpoint import Endpoint
from sockd.config.specs import ServiceSpec
from sockd.config.values import Option
from sockd.errors import BindError, InvalidValue
from sockd.interfaces import (
    IConversation,
    INetworkService,
    IReloadableService,
    IReply,
    IServiceKind,
)
from sockd.limits.buckets import Bucket, RateLimit
from sockd.limits.budget import TokenBuckets
from sockd.limits.datagram_policy import DatagramPolicy
from sockd.limits.terms import terms
from sockd.logger import PartLogger
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Connection, Listener, State
from sockd.net.datagram_socket import DatagramSocket, Peer, peer_address
from sockd.net.mmsg import HAS_RECVMMSG, Batch
from sockd.net.server_endpoints import bind_problem
from sockd.net.spare_sockets import Pool
from sockd.service import BindingService
from sockd.services.answers import answer_bytes
from sockd.services.bypass import may_bypass_reply
from sockd.services.context import ServiceContext

FLOW_TIMEOUT = 120.0
"""How long a quiet flow is kept where no idle time-out is configured (RFC 4787, REQ-5)."""

MOST_FLOWS = 20_000
"""The longest quiet flow makes room for one more than this, so that memory is bounded."""

_SWEEP = 500
"""How many flows one round of the reactor ends at most."""

_TOLD = RateLimit(10, 10.0)
"""How many datagrams without an answer are told one by one; all of them are counted."""

_FlowKey = tuple[DatagramSocket, Peer, bytes]


@implementer(IServiceKind)
class DatagramKind:
    """Makes datagram services."""

    datagrams = True
    options: Sequence[Option[object]] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def serve(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return the service of a section."""
        return DatagramService(spec, reply, context)


class _Flow:
    """What is kept of a peer between two datagrams.

    :ivar reply: the name of what it converses with.
    :ivar is_echoed: whether its datagrams may be sent back unseen, in batches.
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


@implementer(IReloadableService)
class DatagramService(BindingService):
    """One section of a datagram kind, running."""

    _log = PartLogger("sockd")

    def __init__(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        self.name = spec.name
        self._reactor = context.reactor
        self._ledger = context.ledger
        self.record = context.ledger.add_service(spec.name, spec.kind, spec.reply)
        now = context.reactor.seconds()
        self.policy = DatagramPolicy(spec.limits, self._own_ports, now)
        self._told = Bucket(_TOLD, now)
        self._follow(spec, reply, context)
        self._sockets: dict[DatagramSocket, Listener] = {}
        self._flows: OrderedDict[_FlowKey, _Flow] = OrderedDict()
        self._keys: dict[int, _FlowKey] = {}
        self._sweep_call: IDelayedCall | None = None

    def bind(self) -> None:
        """Bind the endpoints, unless that was done.

        :raise BindError: if one of them cannot be had; then none is held.
        """
        if not self._sockets:
            sockets = [self._socket_for(endpoint, Pool()) for endpoint in self._spec.listen]
            _bind_all(sockets)
            self._serve_on(sockets)

    def prepare(self, spec: ServiceSpec, endpoints: Sequence[Endpoint]) -> None:
        """Bind endpoints of a section to come, and leave them with the spare sockets.

        :raise BindError: if one of them cannot be had.
        """
        sockets = [DatagramSocket(self._reactor, endpoint) for endpoint in endpoints]
        _bind_all(sockets)
        for bound in sockets:
            self._spare.put(bound)

    def release(self, kept: Sequence[Endpoint]) -> None:
        """Leave the sockets that are not among these with the spare ones, and end their flows."""
        own = Pool(self._sockets)
        for endpoint in kept:
            own.take(endpoint)
        given_up = set(own)
        for bound in given_up:
            bound.pause()
            del self._sockets[bound]
            self._spare.put(bound)
        for key in [key for key in self._flows if key[0] in given_up]:
            self._end(key, EndReason.STOP)

    def reconfigure(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        """Answer new flows by another section.

        Those that are here keep their conversations and have the new idle time and budgets.
        """
        is_bound = bool(self.record.listeners)
        self._follow(spec, reply, context)
        if is_bound:
            own = Pool(self._sockets)
            self._serve_on([self._socket_for(endpoint, own) for endpoint in spec.listen])
            self._rename_flows()
        if self._sweep_call is not None:
            self._sweep_call.reset(0)

    def stopService(self) -> Deferred[None]:
        """Give the ports back and end the flows, at once: a datagram leaves nothing unfinished."""
        self.end()
        self._ledger.unbound(self.record)
        for bound in self._sockets:
            bound.close()
        self._sockets = {}
        while self._flows:
            self._end(next(iter(self._flows)), EndReason.STOP)
        if self._sweep_call is not None and self._sweep_call.active():
            self._sweep_call.cancel()
        self._sweep_call = None
        return succeed(None)

    def waiting(self, listener: Listener) -> int | None:
        """Return ``None``: there is no accept queue."""
        return None

    def disconnect(self, connection: int) -> bool:
        """Forget a flow by its number; return whether it was one of these."""
        key = self._keys.get(connection)
        if key is not None:
            self._end(key, EndReason.DISCONNECT)
        return key is not None

    def hurry(self) -> None:
        """Do nothing: flows do not drain."""

    def tcp_info(self, connection: int) -> Mapping[str, object] | None:
        """Return ``None``: this is UDP."""
        return None

    def _follow(self, spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        self._spec = spec
        self._reply = reply
        self._spare = context.spare
        self._timeout = spec.idle_timeout or FLOW_TIMEOUT
        self.policy.apply(spec.limits, self._reactor.seconds())
        self._echoes = context.fast_path and HAS_RECVMMSG and may_bypass_reply(spec, reply)

    def _socket_for(self, endpoint: Endpoint, own: Pool[DatagramSocket]) -> DatagramSocket:
        """Return a socket of its own, a spare one, or else one that is not bound yet."""
        found = own.take(endpoint) or self._spare.take(endpoint, DatagramSocket)
        bound = found or DatagramSocket(self._reactor, endpoint)
        bound.endpoint = endpoint
        return bound

    def _serve_on(self, sockets: Sequence[DatagramSocket]) -> None:
        listeners = {bound: Listener("udp", bound.address, None) for bound in sockets}
        known = [listeners[bound] for bound in sockets if bound.received is not None]
        for bound in sockets:
            bound.received = self._received
            bound.echo = self._echo if self._echoes else None
            bound.lost = self._lost
            bound.start()
        self._sockets = listeners
        self.record.terms = terms(self._spec.limits, self._spec.max_connections)
        self._ledger.bound(self.record, tuple(listeners.values()), known)

    def _lost(self, bound: DatagramSocket, reason: Failure) -> None:
        """Stop, as failed, with a socket that the reactor has given up; a start binds again."""
        self._log.error(
            "The socket at {address} is lost, and {service} has stopped: {reason}",
            address=bound.address,
            service=self.record.name,
            reason=reason.getErrorMessage(),
        )
        self.stopService()
        self._ledger.unbound(self.record, State.FAILED)

    def _rename_flows(self) -> None:
        """Go on with the flows that are here, by the names that their sockets have for them now."""
        flows = [
            ((bound, bound.named(peer), source), flow)
            for (bound, peer, source), flow in self._flows.items()
        ]
        self._flows = OrderedDict(flows)
        self._keys = {flow.record.id: key for key, flow in flows}

    def _received(self, bound: DatagramSocket, data: bytes, peer: Peer, source: bytes) -> None:
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
                self._flows.move_to_end(key)
            flow.record.received(len(data), now)
            self._answer(key, flow, data)
        except Exception:  # a reply that fails ends its flow, not the socket that all flows share
            name = self._spec.reply if flow is None else flow.reply
            self._log.failure("The reply {reply} failed", reply=name)
            self._fail(key)

    def _echo(self, bound: DatagramSocket, batch: Batch) -> int:
        """Send the first datagrams of a batch back, as far as they belong to flows that echo."""
        now = self._reactor.seconds()
        sizes = batch.sizes()
        flows: list[_Flow] = []
        for sender, size in zip(batch.senders(), sizes, strict=True):
            key = (bound, sender, b"")
            flow = self._flows.get(key)
            if flow is None or not flow.is_echoed:
                break
            if self.policy.spend(flow.buckets, size, now):
                break
            self._flows.move_to_end(key)
            flow.record.echoed(size, now)
            flows.append(flow)
        count = len(flows)
        self.record.echoed(count, sum(sizes[:count]))
        for location in batch.send_back(bound.fileno(), count):
            flows[location].record.unsent(sizes[location])
            self.record.errors += 1
        return count

    def _answer(self, key: _FlowKey, flow: _Flow, data: bytes) -> None:
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
            self._end(key, EndReason.REPLIES)

    def _send(self, key: _FlowKey, flow: _Flow, answer: bytes) -> None:
        bound, peer, source = key
        try:
            bound.send(answer, peer, source)
        except OSError:
            self.record.errors += 1
        else:
            flow.record.sent(len(answer), self._reactor.seconds())

    def _buckets(self, key: _FlowKey, now: float) -> TokenBuckets | None:
        """Return what a new flow would spend from, unless its peer gets no answer."""
        bound, peer, source = key
        address = peer_address(peer)
        try:
            is_for_many = bound.is_for_many(source)
        except OSError:  # out of descriptors, most likely: that cannot be asked now
            self.record.errors += 1
            return None
        refusal = self.policy.refusal(address, is_for_many)
        if refusal is not None:
            self._refuse(key, refusal)
            return None
        return self.policy.buckets(address, now)

    def _refuse(self, key: _FlowKey, reason: RefusalReason) -> None:
        """Count a datagram that gets no answer; of a flood, tell a few."""
        bound, peer, _ = key
        if self._told.take(_TOLD, self._reactor.seconds()):
            self._ledger.refuse(self.record, self._sockets[bound], peer_address(peer), reason)
        else:
            self.record.turned_away(reason)

    def _own_ports(self) -> set[int | None]:
        """Return the ports at which datagram services of this daemon listen."""
        return {
            listener.address.port
            for record in self._ledger.services.values()
            for listener in record.listeners
            if listener.transport == "udp"
        }

    def _begin(self, key: _FlowKey, buckets: TokenBuckets) -> _Flow:
        if len(self._flows) >= MOST_FLOWS:
            self._end(next(iter(self._flows)), EndReason.EVICTED)
        bound, peer, source = key
        address = peer_address(peer)
        conversation = self._reply.converse(self._spec, address)
        listener = self._sockets[bound]
        record = self._ledger.open(self.record, listener, bound.local(source), address)
        spec = self._spec
        flow = _Flow(record, conversation, spec.reply, spec.replies, buckets, self._echoes)
        self._flows[key] = flow
        self._keys[record.id] = key
        if self._sweep_call is None:
            self._sweep_call = self._reactor.callLater(self._timeout, self._sweep)
        return flow

    def _fail(self, key: _FlowKey) -> None:
        if key in self._flows:
            self._end(key, EndReason.ERROR)
        else:
            self.record.errors += 1

    def _end(self, key: _FlowKey, reason: EndReason) -> None:
        flow = self._flows.pop(key, None)
        if flow is not None:
            del self._keys[flow.record.id]
            self._ledger.close(flow.record, reason)

    def _sweep(self) -> None:
        """End the flows that were quiet too long; the longest quiet one is always the first."""
        self._sweep_call = None
        now = self._reactor.seconds()
        for _ in range(_SWEEP):
            if not self._flows:
                return
            key, flow = next(iter(self._flows.items()))
            remaining = flow.record.last_activity + self._timeout - now
            if remaining > 0:
                self._sweep_call = self._reactor.callLater(remaining, self._sweep)
                return
            self._end(key, EndReason.IDLE)
        self._sweep_call = self._reactor.callLater(0, self._sweep)


def _bind_all(sockets: Sequence[DatagramSocket]) -> None:
    """Bind sockets that are not bound yet, all or none.

    :raise BindError: if one of them cannot be bound; then all are closed.
    """
    problems = []
    for bound in sockets:
        try:
            if bound.fileno() < 0:
                bound.bind()
        except InvalidValue as invalid:
            problems.append(invalid.at(bound.endpoint.location))
        except OSError as error:
            problems.append(bind_problem(bound.endpoint, error))
    if problems:
        for bound in sockets:
            bound.close()
        raise BindError(problems)
