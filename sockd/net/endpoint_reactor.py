"""The reactor that the endpoints of a configuration get.

All endpoints, including those of third parties and those that wrap others, create unix sockets with
``listenUNIX`` and adopt passed sockets with ``adoptStreamPort``. Here these two methods are
sockd's own.
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
    """A port on a socket that another program has created and may share.

    sockd does not change its backlog, options or file.
    """


class EndpointReactor:
    """A reactor that leaves passed sockets unchanged.

    :param reactor: the reactor that everything else is delegated to.
    """

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the reactor."""
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

        :param wantPID: whether a stale socket, left by a dead process, is replaced.
        :raise OSError: if it cannot be bound.
        """
        if not IReactorUNIX.providedBy(self._reactor):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        from sockd.net.unix_port import listen  # fails on systems without unix sockets

        return listen(address, factory, backlog, mode, bool(wantPID), self._reactor)

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: socket.AddressFamily, factory: ServerFactory[Any]
    ) -> IListeningPort:
        """Listen on a passed socket and mark the port as :class:`IPassedPort`."""
        if addressFamily == getattr(socket, "AF_UNIX", None):
            from sockd.net.unix_port import adopt

            port: IListeningPort = adopt(fileDescriptor, factory, self._reactor)
        else:
            reactor = IReactorSocket(self._reactor)
            port = reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)
        alsoProvides(port, IPassedPort)
        return port
