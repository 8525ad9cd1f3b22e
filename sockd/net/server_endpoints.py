"""Conversion of the configuration's endpoints to Twisted's.

sockd adds the default backlog, unix sockets with mode 0600, passed sockets that can be used again
after a stop, and error messages with hints.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorSocket,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.protocol import ServerFactory
from twisted.plugin import getPlugins
from twisted.protocols.haproxy import proxyEndpoint
from zope.interface import implementer

from sockd.config.endpoint import PRIVATE_MODE, SYSTEMD, Endpoint, arguments, parse_any
from sockd.errors import InvalidValue, Problem
from sockd.model.address import Address, unix_address
from sockd.model.ip import normalised
from sockd.net.endpoint_reactor import EndpointReactor
from sockd.net.tls.tls_endpoint import TLSEndpoint
from sockd.reactor import IReactor
from sockd.support.text import exception_summary, nearest, printable, quoted

_HINTS = {
    errno.EADDRINUSE: "another process uses it, `ss -lntup` shows which; stop it or choose another"
    " port",
    errno.EACCES: "ports below 1024 require root or CAP_NET_BIND_SERVICE; choose a higher port, or"
    " restart the daemon if --uid has dropped root since the start",
    errno.EADDRNOTAVAIL: "this machine does not have that address; `ip address` shows which it has",
    errno.ENOENT: "the directory of the socket must exist",
    errno.EAFNOSUPPORT: "this system has no IPv6; interface=0.0.0.0 is every IPv4 address",
}
_UNIX_HINTS = {
    errno.EADDRINUSE: "another process has a socket there, `ss -xlp` shows which; stop it or"
    " choose another path",
    errno.EEXIST: "sockd does not remove the file there; remove it or choose another path",
    errno.EACCES: "the daemon's user may not write there; choose another directory",
    errno.ENAMETOOLONG: "the path of a unix socket has 107 bytes at most, on some systems 103",
    errno.EWOULDBLOCK: "another process holds a lock on its directory, `lslocks` shows which",
    errno.EAFNOSUPPORT: "this system has no unix sockets; tcp:PORT:interface=127.0.0.1 is also"
    " limited to this machine",
}
_SEE_TWISTED = "see the endpoint strings in Twisted's documentation"
_PARSER_HINTS = {
    SYSTEMD: "systemd must pass such a socket: its index from 0, or its FileDescriptorName",
}
_TWISTEDS_OWN = frozenset({"tcp", "ssl", "unix"})
"""The endpoints that Twisted parses without a plugin."""

_RELAYED = f"haproxy:{SYSTEMD}:"

_INTERNET_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def prepared(endpoint: Endpoint, backlog: int) -> Endpoint:
    """Return an endpoint with sockd's defaults for backlog and mode."""
    return endpoint.with_default("backlog", str(backlog)).with_default("mode", PRIVATE_MODE)


def server_endpoint(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    """Return Twisted's endpoint for an endpoint of the configuration.

    :raise InvalidValue: if Twisted or the plugin for its kind rejects it, or if its certificates
        are not usable.
    """
    if endpoint.text.lower().startswith(_RELAYED):
        relayed = parse_any(endpoint.text.partition(":")[2], endpoint.location)
        return proxyEndpoint(server_endpoint(reactor, relayed))
    _check_kind(endpoint)
    if endpoint.is_encrypted:
        return TLSEndpoint(reactor, endpoint)
    made = _twisted_endpoint(reactor, endpoint)
    if not isinstance(made, AdoptedStreamServerEndpoint):
        return made
    with _copy_of(made, endpoint) as passed:
        _check_passed_socket(passed, made.addressFamily, endpoint)
    return PassedEndpoint(made.reactor, made.fileno, made.addressFamily)


@implementer(IStreamServerEndpoint)
class PassedEndpoint:
    """An endpoint on a passed listening socket that can be used again after a stop.

    Twisted's own endpoint closes the descriptor that it adopts. A service that is started again
    would then adopt whatever has the same descriptor number.
    """

    def __init__(
        self, reactor: IReactorSocket, descriptor: int, family: socket.AddressFamily
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._family = family

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen on a copy of the descriptor."""
        return execute(self._adopt, protocolFactory)

    def _adopt(self, factory: IProtocolFactory) -> IListeningPort:
        os.set_blocking(self._descriptor, False)
        made = cast("ServerFactory[Any]", factory)
        return self._reactor.adoptStreamPort(self._descriptor, self._family, made)


def _check_passed_socket(passed: socket.socket, family: int, endpoint: Endpoint) -> None:
    if passed.type != socket.SOCK_STREAM:
        message = f"{quoted(endpoint.text)} is not a stream socket"
        raise InvalidValue(message, "ListenStream= in the socket unit makes one")
    if passed.family != family:
        message = f"{quoted(endpoint.text)} is of another address family"
        raise InvalidValue(message, f"domain={passed.family.name.removeprefix('AF_')}")
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        message = f"{quoted(endpoint.text)} does not listen"
        raise InvalidValue(message, "Accept=no in the socket unit passes the listening socket")


def passed_socket(reactor: IReactor, endpoint: Endpoint) -> socket.socket:
    """Return a UDP socket that the service manager has passed.

    It is a duplicate: the passed descriptor stays open and can be used again.

    :raise InvalidValue: if the socket was not passed or is not a UDP socket.
    """
    which = next(f"{name}={value}" for name, value in endpoint.parameters if name != "domain")
    made = _twisted_endpoint(reactor, replace(endpoint, text=f"{SYSTEMD}:domain=INET:{which}"))
    passed = _copy_of(cast("AdoptedStreamServerEndpoint", made), endpoint)
    if passed.type != socket.SOCK_DGRAM or passed.family not in _INTERNET_FAMILIES:
        passed.close()
        message = f"{quoted(endpoint.text)} is not a UDP socket"
        raise InvalidValue(message, "ListenDatagram= in the socket unit makes one")
    return passed


def _copy_of(made: AdoptedStreamServerEndpoint, endpoint: Endpoint) -> socket.socket:
    try:
        return socket.socket(fileno=os.dup(made.fileno))
    except OSError as error:
        message = f"{quoted(endpoint.text)} is not a socket: {error.strerror}"
        raise InvalidValue(message, _PARSER_HINTS[SYSTEMD]) from None


def _check_kind(endpoint: Endpoint) -> None:
    kind = endpoint.kind.lower()
    if kind not in _TWISTEDS_OWN and kind not in _parsers():
        message = f"unknown endpoint type {quoted(endpoint.kind)}"
        raise InvalidValue(message, nearest(endpoint.kind, sorted(_TWISTEDS_OWN.union(_parsers()))))


def _twisted_endpoint(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    try:
        made = _made(EndpointReactor(reactor), endpoint.kind.lower(), endpoint.description)
    except Exception as error:  # third-party parsers may raise any exception
        message = f"{quoted(endpoint.text)} is not a usable endpoint: {exception_summary(error)}"
        hint = _PARSER_HINTS.get(endpoint.kind.lower(), _SEE_TWISTED)
        raise InvalidValue(message, hint) from error
    return made


def _made(reactor: EndpointReactor, kind: str, description: str) -> IStreamServerEndpoint:
    """Do the same as :func:`serverFromString`, which searches for plugins each time (15 ms)."""
    if kind in _TWISTEDS_OWN:
        own: IStreamServerEndpoint = serverFromString(reactor, description)
        return own
    positional, named = arguments(description)
    parser = _parsers()[kind]
    made: IStreamServerEndpoint = parser.parseStreamServer(
        cast("IReactor", reactor), *positional, **named
    )
    return made


@cache
def _parsers() -> Mapping[str, IStreamServerEndpointStringParser]:
    """Return the endpoint plugins by the kind that they parse."""
    found: dict[str, IStreamServerEndpointStringParser] = {}
    for parser in getPlugins(IStreamServerEndpointStringParser):
        found.setdefault(parser.prefix.lower(), parser)
    found.pop("stdio", None)
    return MappingProxyType(found)


def bind_problem(endpoint: Endpoint, error: OSError | CannotListenError) -> Problem:
    """Return the error message, with a hint, for an endpoint that could not be bound."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    reason = getattr(cause, "strerror", None) or str(cause)
    message = f"{quoted(endpoint.text)[1:-1]} cannot be bound: {printable(reason)}"
    number: int = getattr(cause, "errno", None) or 0
    hints = _HINTS if endpoint.path is None else _HINTS | _UNIX_HINTS
    return Problem(endpoint.location, message, hints.get(number, "choose another endpoint"))


def known_address(address: IAddress) -> Address:
    """Return an address of Twisted's in the ledger's form."""
    if isinstance(address, IPv4Address | IPv6Address):
        return Address(normalised(address.host), address.port)
    if isinstance(address, UNIXAddress):
        return unix_address(address.name or b"")
    return Address(printable(str(address)))
