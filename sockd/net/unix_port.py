"""A unix port that leaves passed sockets unchanged.

Twisted's own port changes the mode and the backlog of a socket that it adopts. When it closes, it
shuts the socket down and deletes its file, even if other processes share it. Its accept loop fails
for a client whose address has a length of 4, which it takes for IPv6.

This module uses a private name of Twisted: ``twisted.internet.tcp._reservedFD``.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.python.failure import Failure

from sockd.net.unix_file import SocketFile, bind_file
from sockd.support.text import escaped, printable

_ABSTRACT = b"\0"


class ListeningSocket(socket.socket):
    """A listening unix socket that returns client addresses as 1-tuples.

    Twisted recognizes other address families by their length.
    """

    def accept(self) -> tuple[socket.socket, tuple[str | bytes]]:
        """Accept a client; return its socket and its address, a path or an abstract name."""
        client, name = super().accept()
        return client, (name,)

    def shutdown(self, how: int) -> None:
        """Do nothing: Twisted calls this before ``close``, and it would affect other processes."""


class UnixServer(unix.Server):
    """The transport of an accepted connection."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: IProtocol,
        client: tuple[str | bytes],
        server: tcp.Port,
        sessionno: int,
        reactor: Any,
    ) -> None:
        name = client[0]
        super().__init__(sock, protocol, name, server, sessionno, reactor)  # type: ignore[no-untyped-call]
        self.logstr = printable(self.logstr)

    # Without recvmsg(2): the kernel closes descriptors that a client passes.
    doRead = tcp.Server.doRead  # type: ignore[assignment]


class UnixPort(unix.Port):
    """A port on a listening unix socket.

    :param file: the file to remove when the port is closed; ``None`` to remove none.
    """

    transport = UnixServer

    def __init__(
        self,
        listening: ListeningSocket,
        file: SocketFile | None,
        factory: IProtocolFactory,
        reactor: Any,
    ) -> None:
        shown = escaped(os.fsencode(listening.getsockname()))  # only for Twisted's log
        super().__init__(shown.encode(), factory, reactor=reactor)
        self._served = factory
        self._listening = listening
        self._file = file

    def startListening(self) -> None:
        """Start accepting."""
        tcp._reservedFD.reserve()  # Twisted needs it when accept(2) runs out of descriptors
        self._served.doStart()
        self.connected = True
        self.socket = self._listening
        self.fileno = self.socket.fileno  # type: ignore[method-assign] # Twisted deletes it
        self.numberAccepts = 100
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """Remove the file, unless the socket was passed, and close."""
        try:
            if self._file is not None:
                self._file.remove()
        finally:
            tcp.Port.connectionLost(self, reason)

    def _buildAddr(self, name: Any) -> UNIXAddress:
        """Return the address of a client or of this port; Twisted calls this for both."""
        return UNIXAddress(name[0] if isinstance(name, tuple) else name)


def listen(
    name: str | bytes,
    factory: IProtocolFactory,
    backlog: int,
    mode: int,
    replaces_stale: bool,
    reactor: Any,
) -> UnixPort:
    """Return a port on a new unix socket.

    The socket starts to listen only after the mode of its file is set.

    :param replaces_stale: whether a stale socket, left by a dead process, is replaced.
    :raise OSError: if it cannot be bound, see :func:`~sockd.net.unix_file.bind_file`.
    """
    made = ListeningSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    file = None
    try:
        made.setblocking(False)
        if os.fsencode(name).startswith(_ABSTRACT):
            made.bind(name)
        else:
            path = Path(os.fsdecode(name)).absolute()
            file = bind_file(made, path, replaces_stale)
            path.chmod(mode)
        made.listen(backlog)
    except OSError:
        if file is not None:
            file.remove()
        made.close()
        raise
    return _started_port(UnixPort(made, file, factory, reactor))


def adopt(descriptor: int, factory: IProtocolFactory, reactor: Any) -> UnixPort:
    """Return a port on a duplicate of a listening unix socket; the descriptor stays open."""
    passed = ListeningSocket(fileno=os.dup(descriptor))
    return _started_port(UnixPort(passed, None, factory, reactor))


def _started_port(port: UnixPort) -> UnixPort:
    port.startListening()
    return port
