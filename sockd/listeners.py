"""Binds the stream endpoints of one section, all or none, and minds their doors.

Services, the stats endpoint and the admin shell listen through this. Endpoints are Twisted's;
sockd adds what its configuration promises: the backlog, unix sockets that only their owner can
use, one clear problem for a port that cannot be had, and doors that can be held shut while the
kernel goes on queueing clients.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import getPlugins
from twisted.python.failure import Failure

from sockd.address import Address, normalised
from sockd.config.endpoint import Endpoint
from sockd.errors import BindError, Problem, Unfit
from sockd.kernel import accept_queue
from sockd.ledger import Listener
from sockd.reactor import IReactor
from sockd.text import nearest, printable, quoted

_BATCH = 100
"""How many clients one round of the reactor accepts at most while the doors are minded."""

_REMEDIES = {
    errno.EADDRINUSE: "somebody else has it, `ss -lntup` shows who; stop them or choose another",
    errno.EACCES: "ports below 1024 are for root or CAP_NET_BIND_SERVICE; choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address; `ip address` lists those it has",
    errno.ENOENT: "the directory of the socket must exist",
}
_TWISTEDS_OWN = frozenset({"tcp", "ssl", "unix"})
"""The endpoints that Twisted parses without a plugin."""

_TLS_KINDS = frozenset({"ssl", "tls"})
"""Endpoints whose connections are encrypted."""


def prepared(endpoint: Endpoint, backlog: int) -> Endpoint:
    """Return an endpoint with what sockd adds where the description is silent."""
    return endpoint.with_default("backlog", str(backlog)).with_default("mode", "600")


def server_endpoint(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    """Return Twisted's endpoint.

    :raise Unfit: if Twisted, or the plugin that knows its kind, does not take it.
    """
    parsers = getPlugins(IStreamServerEndpointStringParser)
    kinds = {*_TWISTEDS_OWN, *(parser.prefix.lower() for parser in parsers)}
    if endpoint.kind.lower() not in kinds:
        wrong = f"unknown sort of endpoint {quoted(endpoint.kind)}"
        raise Unfit(wrong, nearest(endpoint.kind, sorted(kinds)))
    try:
        made: IStreamServerEndpoint = serverFromString(reactor, endpoint.description)
    except Exception as error:  # any parser, third-party ones included, raises what it likes
        wrong = f"{quoted(endpoint.text)} is no usable endpoint: {_summary(error)}"
        raise Unfit(wrong, "see the endpoint strings in Twisted's documentation") from error
    return made


class Door:
    """One endpoint, before and after it is bound.

    :ivar listener: what the ledger knows of it; ``None`` until it is bound.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.port: IListeningPort | None = None
        self.listener: Listener | None = None

    def bound(self, port: IListeningPort) -> None:
        """Take note of the port that the endpoint became."""
        self.port = port
        self.listener = _listener(self.endpoint, port)

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
        self._binding: Deferred[None] | None = None

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
        """Bind every endpoint, or none.

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

    def close(self) -> Deferred[None]:
        """Stop listening; return what fires when the sockets are closed."""
        if self._binding is not None:
            self._binding.cancel()
        return Deferred.fromCoroutine(self._close())

    def waiting(self, listener: Listener) -> int | None:
        """Return how many clients wait in the kernel's queue for a listener."""
        return next((d.waiting() for d in self._doors if d.listener == listener), None)

    def shut(self) -> None:
        """Leave new clients in the kernel's queues."""
        for door in self._doors:
            door.shut()

    def let_in(self, room: int) -> None:
        """Accept again, so many clients at most in one round of the reactor."""
        for door in self._doors:
            door.let_in(room)

    async def _open(self, make_factory: FactoryMaker) -> None:
        problems: list[Problem] = []
        for door in self._doors:
            try:
                endpoint = server_endpoint(self._reactor, door.endpoint)
                door.bound(await endpoint.listen(make_factory(door)))
            except Unfit as unfit:
                problems.append(unfit.at(door.endpoint.place))
            except (OSError, CannotListenError) as error:
                problems.append(bind_problem(door.endpoint, error))
        if problems:
            await self._close()
            raise BindError(problems)

    async def _close(self) -> None:
        for door in self._doors:
            port, door.port, door.listener = door.port, None, None
            if port is not None:
                await maybeDeferred(port.stopListening)


def bind_problem(endpoint: Endpoint, error: OSError | CannotListenError) -> Problem:
    """Return what to tell a person whose endpoint could not be bound."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    reason = getattr(cause, "strerror", None) or str(cause)
    wrong = f"{quoted(endpoint.text)[1:-1]} cannot be bound: {printable(reason)}"
    number: int = getattr(cause, "errno", None) or 0
    return Problem(endpoint.place, wrong, _REMEDIES.get(number, "choose another endpoint"))


def known_address(address: IAddress) -> Address:
    """Return one of Twisted's addresses as the ledger knows it."""
    if isinstance(address, IPv4Address | IPv6Address):
        return Address(normalised(address.host), address.port)
    if isinstance(address, UNIXAddress):
        return Address(os.fsdecode(address.name or b""))
    return Address(printable(str(address)))


def _listener(endpoint: Endpoint, port: IListeningPort) -> Listener:
    host = port.getHost()
    if isinstance(host, UNIXAddress):
        transport = "unix"
    else:
        transport = "tls" if endpoint.kind in _TLS_KINDS else "tcp"
    backlog = endpoint.parameter("backlog")
    return Listener(transport, known_address(host), int(backlog) if backlog else None)


def _summary(error: Exception) -> str:
    """Return what a parser complains of, in one printable line."""
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))
