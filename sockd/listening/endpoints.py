"""Translates between the configuration's endpoints and Twisted's.

Endpoints are Twisted's; sockd adds what its configuration promises: the backlog, unix sockets that
only their owner can use, sockets that a service manager passes and that can be had again, and one
clear problem for an endpoint that cannot be had.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import getPlugins
from twisted.python.lockfile import FilesystemLock

from sockd.address import Address, normalised, unix_address
from sockd.config.endpoint import PRIVATE_MODE, SYSTEMD, Endpoint
from sockd.errors import Problem, Unfit
from sockd.listening.tls import TLSEndpoint
from sockd.reactor import IReactor
from sockd.text import nearest, printable, quoted, summary

_REMEDIES = {
    errno.EADDRINUSE: "somebody else has it, `ss -lntup` shows who; stop them or choose another",
    errno.EACCES: "ports below 1024 are for root or CAP_NET_BIND_SERVICE; choose a higher one, or"
    " restart if --uid has dropped root since the start",
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


def prepared(endpoint: Endpoint, backlog: int) -> Endpoint:
    """Return an endpoint with what sockd adds where the description is silent."""
    return endpoint.with_default("backlog", str(backlog)).with_default("mode", PRIVATE_MODE)


def server_endpoint(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    """Return Twisted's endpoint.

    :raise Unfit: if Twisted, or the plugin that knows its kind, does not take it; or its
        certificates are not usable.
    """
    _check_kind(endpoint)
    if endpoint.is_encrypted:
        return TLSEndpoint(reactor, endpoint)
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


def _check_kind(endpoint: Endpoint) -> None:
    parsers = getPlugins(IStreamServerEndpointStringParser)
    kinds = {*_TWISTEDS_OWN, *(parser.prefix.lower() for parser in parsers)} - {"stdio"}
    if endpoint.kind.lower() not in kinds:
        wrong = f"unknown sort of endpoint {quoted(endpoint.kind)}"
        raise Unfit(wrong, nearest(endpoint.kind, sorted(kinds)))


def _parsed(reactor: IReactor, endpoint: Endpoint) -> IStreamServerEndpoint:
    try:
        made: IStreamServerEndpoint = serverFromString(reactor, endpoint.description)
    except Exception as error:  # any parser, third-party ones included, raises what it likes
        wrong = f"{quoted(endpoint.text)} is no usable endpoint: {summary(error)}"
        remedy = _PARSER_REMEDIES.get(endpoint.kind.lower(), _SEE_TWISTED)
        raise Unfit(wrong, remedy) from error
    return made


def bind_problem(endpoint: Endpoint, error: OSError | CannotListenError) -> Problem:
    """Return what to tell a person whose endpoint could not be bound."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if not isinstance(cause, OSError) and (owner := _owner(endpoint)):
        wrong = f"{quoted(endpoint.text)[1:-1]} cannot be bound: it is process {owner}'s"
        return Problem(endpoint.place, wrong, "stop that, or choose another")
    reason = getattr(cause, "strerror", None) or str(cause)
    wrong = f"{quoted(endpoint.text)[1:-1]} cannot be bound: {printable(reason)}"
    number: int = getattr(cause, "errno", None) or 0
    remedies = _REMEDIES if endpoint.path is None else _REMEDIES | _UNIX_REMEDIES
    return Problem(endpoint.place, wrong, remedies.get(number, "choose another endpoint"))


def _owner(endpoint: Endpoint) -> int | None:
    """Return the process whose a unix socket is, by the lock that Twisted keeps beside it."""
    if endpoint.path is None:
        return None
    try:
        return int(str(Path(f"{endpoint.path}.lock").readlink()))
    except (OSError, ValueError):
        return None


def known_address(address: IAddress) -> Address:
    """Return one of Twisted's addresses as the ledger knows it."""
    if isinstance(address, IPv4Address | IPv6Address):
        return Address(normalised(address.host), address.port)
    if isinstance(address, UNIXAddress):
        return unix_address(address.name or b"")
    return Address(printable(str(address)))


def unlock(endpoint: Endpoint) -> None:
    """Remove the lock that Twisted leaves where a unix socket cannot be bound or removed.

    By the lock of a process that is gone, the next start would know a socket for its own, and take
    it from whoever listens on it.
    """
    if endpoint.path is not None:
        with suppress(OSError, ValueError):  # there is none, or it is another process's
            FilesystemLock(f"{endpoint.path}.lock").unlock()
