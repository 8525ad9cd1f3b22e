"""The reactor as the endpoints of a configuration see it.

Endpoints, third-party ones and those that wrap others included, get their sockets by ``listenUNIX``
and ``adoptStreamPort`` of the reactor that they are given. These two are sockd's own here.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorSocket,
    IReactorUNIX,
)
from twisted.internet.protocol import ServerFactory
from zope.interface import Interface, alsoProvides, directlyProvides, providedBy

from sockd.reactor import IReactor


class IPassedPort(Interface):
    """A port on a socket that another program has made and may share.

    Its backlog, its options and its file are not sockd's to change.
    """


class EndpointReactor:
    """Does what the reactor does, and leaves sockets as they are that are passed to it.

    :param reactor: what does the rest.
    """

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> object:
        """Return what the reactor has of a name."""
        return getattr(self._reactor, name)

    def listenUNIX(
        self,
        address: str | bytes,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: int = 0,
    ) -> IListeningPort:
        """Listen on a new unix socket.

        :param wantPID: whether the socket of a process that is gone makes room.
        :raise OSError: if it cannot be bound.
        """
        if not IReactorUNIX.providedBy(self._reactor):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        from sockd.net.unix_port import listen  # not where there are no unix sockets

        return listen(address, factory, backlog, mode, bool(wantPID), self._reactor)

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: socket.AddressFamily, factory: ServerFactory[Any]
    ) -> IListeningPort:
        """Listen on a socket that is bound already, and mark the port as :class:`IPassedPort`."""
        if addressFamily == getattr(socket, "AF_UNIX", None):
            from sockd.net.unix_port import adopt

            port: IListeningPort = adopt(fileDescriptor, factory, self._reactor)
        else:
            reactor = IReactorSocket(self._reactor)
            port = reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)
        alsoProvides(port, IPassedPort)
        return port
