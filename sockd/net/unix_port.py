"""Twisted's unix port, but it leaves a socket alone that somebody else has made.

Twisted's own port changes the mode and the backlog of a socket that it adopts, and at the end shuts
it down and deletes its file, even if the service manager, and the next process, have it too. Its
accept loop fails for a client whose address has a length of 4, which it takes for IPv6.

What is private in Twisted and used here: ``twisted.internet.tcp._reservedFD``.
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
    """A listening unix socket whose clients' addresses are tuples of one, as no others are."""

    def accept(self) -> tuple[socket.socket, tuple[str | bytes]]:
        """Return the next client and its address, a path or the name of an abstract socket."""
        client, name = super().accept()
        return client, (name,)

    def shutdown(self, how: int) -> None:
        """Do nothing: Twisted calls this before ``close``, and it would end a shared socket."""


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

    # Bytes alone: the kernel closes the descriptors that a client passes along.
    doRead = tcp.Server.doRead  # type: ignore[assignment]


class UnixPort(unix.Port):
    """A port on a unix socket that listens already.

    :param file: removed at the end; ``None`` if there is none, or it is not sockd's.
    """

    transport = UnixServer

    def __init__(
        self,
        listening: ListeningSocket,
        file: SocketFile | None,
        factory: IProtocolFactory,
        reactor: Any,
    ) -> None:
        shown = escaped(os.fsencode(listening.getsockname()))  # nothing but Twisted's log uses it
        super().__init__(shown.encode(), factory, reactor=reactor)
        self._served = factory
        self._listening = listening
        self._file = file

    def startListening(self) -> None:
        """Accept."""
        tcp._reservedFD.reserve()  # what accept(2) falls back on when descriptors run out
        self._served.doStart()
        self.connected = True
        self.socket = self._listening
        self.fileno = self.socket.fileno  # type: ignore[method-assign] # Twisted deletes it
        self.numberAccepts = 100
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """Remove the file if it is sockd's own, and close."""
        try:
            if self._file is not None:
                self._file.remove()
        finally:
            tcp.Port.connectionLost(self, reason)

    def _buildAddr(self, name: Any) -> UNIXAddress:
        """Return the address of a client, or of this port: Twisted calls it for both."""
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

    Nobody connects before the file has its mode, as the socket does not listen until then.

    :param replaces_stale: whether the socket of a process that is gone makes room.
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
    """Return a port on a unix socket that listens already; the descriptor stays open."""
    passed = ListeningSocket(fileno=os.dup(descriptor))
    return _started_port(UnixPort(passed, None, factory, reactor))


def _started_port(port: UnixPort) -> UnixPort:
    port.startListening()
    return port
