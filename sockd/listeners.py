"""Binds the stream endpoints of one section, all or none, and minds their doors.

Services, the stats endpoint and the admin shell listen through this. Endpoints are Twisted's;
sockd adds what its configuration promises: the backlog, unix sockets that only their owner can
use, one clear problem for a port that cannot be had, and doors that can be held shut while the
kernel goes on queueing clients.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, cast

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.plugin import getPlugins
from twisted.python.failure import Failure
from twisted.python.lockfile import FilesystemLock

from sockd.address import Address, normalised
from sockd.config.endpoint import PRIVATE_MODE, SYSTEMD, Endpoint
from sockd.errors import BindError, Problem, Unfit
from sockd.kernel import accept_queue
from sockd.ledger import Listener, ServiceRecord
from sockd.reactor import IReactor
from sockd.spare import take
from sockd.text import nearest, printable, quoted, summary

_BATCH = 100
"""How many clients one round of the reactor accepts at most, give or take a few."""

_REMEDIES = {
    errno.EADDRINUSE: "somebody else has it, `ss -lntup` shows who; stop them or choose another",
    errno.EACCES: "ports below 1024 are for root or CAP_NET_BIND_SERVICE; choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address; `ip address` lists those it has",
    errno.ENOENT: "the directory of the socket must exist",
    errno.EAFNOSUPPORT: "this system has no IPv6; interface=0.0.0.0 is every IPv4 address",
}
_UNIX_REMEDIES = {
    errno.EADDRINUSE: "a file of that name is there: remove it if `ss -lx` shows that nobody"
    " listens on it, or choose another",
    errno.EACCES: "whoever runs this may not write there; choose another directory",
}
_SEE_TWISTED = "see the endpoint strings in Twisted's documentation"
_PARSER_REMEDIES = {
    SYSTEMD: "systemd must pass such a socket: its index from 0, or its FileDescriptorName",
}
_TWISTEDS_OWN = frozenset({"tcp", "ssl", "unix"})
"""The endpoints that Twisted parses without a plugin."""

_INTERNET_FAMILIES = (socket.AF_INET, socket.AF_INET6)

_TLS_KINDS = frozenset({"ssl", "tls"})
"""Endpoints whose connections are encrypted."""


def prepared(endpoint: Endpoint, backlog: int) -> Endpoint:
    """Return an endpoint with what sockd adds where the description is silent."""
    return endpoint.with_default("backlog", str(backlog)).with_default("mode", PRIVATE_MODE)


def server_endpoint(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    """Return Twisted's endpoint.

    :raise Unfit: if Twisted, or the plugin that knows its kind, does not take it.
    """
    made = _parsed(reactor, endpoint)
    if isinstance(made, AdoptedStreamServerEndpoint):
        with _copy_of(made, endpoint) as passed:
            if passed.type != socket.SOCK_STREAM:
                wrong = f"{quoted(endpoint.text)} is no stream socket"
                raise Unfit(wrong, "ListenStream= in the socket unit makes one")
            if passed.family != made.addressFamily:
                wrong = f"{quoted(endpoint.text)} is of another family"
                raise Unfit(wrong, f"domain={passed.family.name.removeprefix('AF_')}")
            # Twisted closes what it adopts. The number would soon be another socket's, and a
            # service that is started again would adopt that.
            made.fileno = os.dup(made.fileno)
    return made


def passed_socket(reactor: IReactor, endpoint: Endpoint) -> socket.socket:
    """Return a UDP socket that the service manager passes.

    It is a descriptor of its own: the one that was passed stays open, to be had again.

    :raise Unfit: if there is no such socket, or it is none of UDP.
    """
    which = next(f"{name}={value}" for name, value in endpoint.parameters if name != "domain")
    made = _parsed(reactor, replace(endpoint, text=f"{SYSTEMD}:domain=INET:{which}"))
    passed = _copy_of(cast("AdoptedStreamServerEndpoint", made), endpoint)
    if passed.type != socket.SOCK_DGRAM or passed.family not in _INTERNET_FAMILIES:
        passed.close()
        wrong = f"{quoted(endpoint.text)} is no UDP socket"
        raise Unfit(wrong, "ListenDatagram= in the socket unit makes one")
    return passed


def _copy_of(made: AdoptedStreamServerEndpoint, endpoint: Endpoint) -> socket.socket:
    try:
        return socket.socket(fileno=os.dup(made.fileno))
    except OSError as error:
        wrong = f"{quoted(endpoint.text)} is no socket: {error.strerror}"
        raise Unfit(wrong, _PARSER_REMEDIES[SYSTEMD]) from None


def _parsed(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    parsers = getPlugins(IStreamServerEndpointStringParser)
    kinds = {*_TWISTEDS_OWN, *(parser.prefix.lower() for parser in parsers)} - {"stdio"}
    if endpoint.kind.lower() not in kinds:
        wrong = f"unknown sort of endpoint {quoted(endpoint.kind)}"
        raise Unfit(wrong, nearest(endpoint.kind, sorted(kinds)))
    try:
        made: IStreamServerEndpoint = serverFromString(reactor, endpoint.description)
    except Exception as error:  # any parser, third-party ones included, raises what it likes
        wrong = f"{quoted(endpoint.text)} is no usable endpoint: {summary(error)}"
        remedy = _PARSER_REMEDIES.get(endpoint.kind.lower(), _SEE_TWISTED)
        raise Unfit(wrong, remedy) from error
    return made


class Tenant(Protocol):
    """A service that has a door."""

    record: ServiceRecord

    def protocol_for(self, listener: Listener, peer: Address) -> TwistedProtocol:
        """Return what serves the next client."""


class Door:
    """One endpoint, before and after it is bound.

    :ivar listener: what the ledger knows of it; ``None`` until it is bound.
    :ivar tenant: whose clients come in; the door can change hands while it is bound.
    """

    _log = Logger()

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.port: IListeningPort | None = None
        self.listener: Listener | None = None
        self.tenant: Tenant | None = None

    def bound(self, port: IListeningPort) -> None:
        """Take note of the port that the endpoint became."""
        self.port = port
        self.listener = _listener(self.endpoint, port)
        accepting = self._accepting_port()
        if accepting is not None and self.listener.transport != "unix":
            _tune(accepting.socket)

    def become(self, endpoint: Endpoint) -> None:
        """Have another endpoint of the same identity: in another line, with another backlog."""
        self.endpoint = endpoint
        port = self._accepting_port()
        if port is None or self.listener is None:
            return
        listener = _listener(endpoint, port)
        if listener.backlog is not None and listener.backlog != self.listener.backlog:
            port.socket.listen(listener.backlog)
        self.listener = listener

    def close(self) -> Deferred[None]:
        """Stop listening; return what fires when the socket is closed, whatever came of it."""
        port, self.port, self.listener = self.port, None, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallbacks(lambda _: None, self._not_closed)

    def waiting(self) -> int | None:
        """Return how many clients the kernel has connected that were not accepted yet."""
        port = self._accepting_port()
        return None if port is None else accept_queue(port.socket)

    def shut(self) -> None:
        """Leave new clients in the kernel's queue."""
        port = self._accepting_port()
        if port is not None:
            port.stopReading()

    def let_in(self, room: int) -> None:
        """Accept again, so many clients at most in one round of the reactor."""
        port = self._accepting_port()
        if port is not None and port.connected:
            port.numberAccepts = min(room, _BATCH)
            port.startReading()

    def accepted(self) -> None:
        """Keep the rounds of the reactor short: Twisted accepts more with each full one."""
        port = self._accepting_port()
        if port is not None:
            port.numberAccepts = min(port.numberAccepts, _BATCH)

    def _not_closed(self, failure: Failure) -> None:
        """Say so; most likely somebody has removed a unix socket already."""
        _unlock(self.endpoint)
        self._log.warn(
            "{endpoint} was not closed cleanly: {error}",
            endpoint=quoted(self.endpoint.text),
            error=failure.getErrorMessage(),
        )

    def _accepting_port(self) -> tcp.Port | None:
        """Return the port if it is one that accepts from a socket here."""
        port: object = self.port
        return port if isinstance(port, tcp.Port) else None


FactoryMaker = Callable[[Door], IProtocolFactory]


class Listeners:
    """The listening ports of one section.

    :param backlog: listen(2)'s queue, where an endpoint does not say.
    """

    def __init__(self, reactor: IReactor, endpoints: tuple[Endpoint, ...], backlog: int) -> None:
        self._reactor = reactor
        self._doors = tuple(Door(prepared(endpoint, backlog)) for endpoint in endpoints)
        self._turns = deque(self._doors)
        self._binding: Deferred[None] | None = None
        self._closing: Deferred[None] = succeed(None)

    @property
    def is_open(self) -> bool:
        """Whether every one of them is bound."""
        return all(door.port is not None for door in self._doors)

    @property
    def bound(self) -> tuple[Listener, ...]:
        """The listeners that are bound now."""
        return tuple(door.listener for door in self._doors if door.listener is not None)

    def open(
        self,
        make_factory: FactoryMaker,
        bound: Callable[[], None],
        failed: Callable[[BindError], None],
    ) -> None:
        """Bind every endpoint, or none; where a close is under way, as soon as that is done.

        :param make_factory: returns what serves the clients that come through a door.
        :param bound: called when all of them are bound, which nearly always is at once.
        :param failed: called if one of them fails later; the others are closed by then.
        :raise BindError: if one of them fails at once.
        """
        is_at_once = True
        errors: list[BindError] = []

        def lost(failure: Failure) -> None:
            if isinstance(failure.value, BindError):
                tell = errors.append if is_at_once else failed
                tell(failure.value)
            else:  # closed before it was open
                failure.trap(CancelledError)

        self._binding = Deferred.fromCoroutine(self._open(make_factory))
        self._binding.addCallback(lambda _: bound())
        self._binding.addErrback(lost)
        is_at_once = False
        if errors:
            raise errors[0]

    def give_up(self, kept: Iterable[Endpoint]) -> list[Door]:
        """Return the bound doors that are not among these; they are not its own any more."""
        wanted = [endpoint.identity for endpoint in kept]
        given_up = []
        for door in self._doors:
            if door.endpoint.identity in wanted:
                wanted.remove(door.endpoint.identity)
            elif door.port is not None:
                given_up.append(door)
        self._have(door for door in self._doors if door not in given_up)
        return given_up

    def change(
        self,
        endpoints: tuple[Endpoint, ...],
        backlog: int,
        find: Callable[[Endpoint], Door | None],
        tenant: Tenant,
    ) -> tuple[Listener, ...]:
        """Have other endpoints; :meth:`open` binds what is lacking.

        :param find: returns a bound door for an endpoint that none of its own fits.
        :return: the listeners that were bound, and had a tenant, before.
        """
        own = [door for door in self._doors if door.port is not None]
        doors = []
        for endpoint in (prepared(endpoint, backlog) for endpoint in endpoints):
            door = take(endpoint, own) or find(endpoint) or Door(endpoint)
            door.become(endpoint)
            doors.append(door)
        known = tuple(door.listener for door in doors if door.tenant and door.listener)
        for door in doors:
            door.tenant = tenant
        self._have(doors)
        return known

    def close(self) -> Deferred[None]:
        """Stop listening; return what fires when the sockets are closed."""
        if self._binding is not None:
            self._binding.cancel()
        self._close_doors()
        return self._closed()

    def waiting(self, listener: Listener) -> int | None:
        """Return how many clients wait in the kernel's queue for a listener."""
        return next((d.waiting() for d in self._doors if d.listener == listener), None)

    def shut(self) -> None:
        """Leave new clients in the kernel's queues."""
        for door in self._doors:
            door.shut()

    def let_in(self, room: int) -> None:
        """Accept again, so many clients at most in one round of the reactor.

        Another door comes first each time, as it is the first that gets the room.
        """
        self._turns.rotate()
        for door in self._turns:
            door.let_in(room)

    def _have(self, doors: Iterable[Door]) -> None:
        self._doors = tuple(doors)
        self._turns = deque(self._doors)

    async def _open(self, make_factory: FactoryMaker) -> None:
        await self._closed()
        problems: list[Problem] = []
        for door in self._doors:
            if door.port is not None:
                continue
            try:
                endpoint = server_endpoint(self._reactor, door.endpoint)
                door.bound(await endpoint.listen(make_factory(door)))
            except Unfit as unfit:
                problems.append(unfit.at(door.endpoint.place))
            except (OSError, CannotListenError) as error:
                _unlock(door.endpoint)
                problems.append(bind_problem(door.endpoint, error))
        if problems:
            self._close_doors()
            raise BindError(problems)

    def _close_doors(self) -> None:
        closing = gatherResults([self._closed(), *(door.close() for door in self._doors)])
        self._closing = closing.addCallback(lambda _: None)

    def _closed(self) -> Deferred[None]:
        """Return what fires once no socket is being closed; to cancel it disturbs nothing."""
        waiter: Deferred[None] = Deferred()
        self._closing.addCallback(waiter.callback)
        return waiter


def bound_door(
    reactor: IReactor, endpoint: Endpoint, backlog: int, make_factory: FactoryMaker
) -> Door:
    """Bind an endpoint, and leave its clients in the kernel's queue.

    :raise BindError: if it cannot be bound, or not at once.
    """
    listeners = Listeners(reactor, (endpoint,), backlog)
    listeners.open(make_factory, lambda: None, lambda _: None)
    if not listeners.is_open:
        listeners.close()
        wrong = f"{quoted(endpoint.text)[1:-1]} takes its time to bind"
        raise BindError([Problem(endpoint.place, wrong, "restart the daemon to have it")])
    (door,) = listeners.give_up(())
    door.shut()
    return door


def bind_problem(endpoint: Endpoint, error: OSError | CannotListenError) -> Problem:
    """Return what to tell a person whose endpoint could not be bound."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    reason = getattr(cause, "strerror", None) or str(cause)
    wrong = f"{quoted(endpoint.text)[1:-1]} cannot be bound: {printable(reason)}"
    number: int = getattr(cause, "errno", None) or 0
    remedies = _REMEDIES if endpoint.path is None else _REMEDIES | _UNIX_REMEDIES
    return Problem(endpoint.place, wrong, remedies.get(number, "choose another endpoint"))


def known_address(address: IAddress) -> Address:
    """Return one of Twisted's addresses as the ledger knows it."""
    if isinstance(address, IPv4Address | IPv6Address):
        return Address(normalised(address.host), address.port)
    if isinstance(address, UNIXAddress):
        return Address(os.fsdecode(address.name or b""))
    return Address(printable(str(address)))


def _tune(listening: socket.socket) -> None:
    """Send small answers at once and notice dead peers: accepted sockets inherit both (tcp(7))."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _listener(endpoint: Endpoint, port: IListeningPort) -> Listener:
    host = port.getHost()
    if isinstance(host, UNIXAddress):
        transport = "unix"
    else:
        transport = "tls" if endpoint.kind in _TLS_KINDS else "tcp"
    backlog = endpoint.parameter("backlog")
    return Listener(transport, known_address(host), int(backlog) if backlog else None)


def _unlock(endpoint: Endpoint) -> None:
    """Remove the lock that Twisted leaves where a unix socket cannot be bound or removed.

    By the lock of a process that is gone, the next start would know a socket for its own, and take
    it from whoever listens on it.
    """
    if endpoint.path is not None:
        with suppress(OSError, ValueError):  # there is none, or it is another process's
            FilesystemLock(f"{endpoint.path}.lock").unlock()
