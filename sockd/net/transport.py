"""A transport that leaves it to its protocol when to read the first bytes.

Twisted's own is read as soon as it is made. For a protocol that takes its socket off the reactor
at once, that is two system calls for nothing: a twentieth of the time of a short connection.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server


class SelfStarter(Protocol):
    """A protocol whose ``connectionMade`` has its transport read, by ``resumeProducing``.

    A :class:`PatientServer` is not read until then; others are, and then that does nothing.
    """


class PatientServer(Server):
    """Twisted's transport of an accepted connection, but a self-starter is asked first."""

    def startReading(self) -> None:
        """Read what arrives, except that the constructor, which calls this too, is too early."""
        if self.connected or not isinstance(self.protocol, SelfStarter):
            super().startReading()  # type: ignore[no-untyped-call]


class TunedServer(PatientServer):
    """The transport of a connection whose listening socket does not hand the options on."""

    def __init__(self, sock: socket.socket, *arguments: Any) -> None:
        with suppress(OSError):  # the client has reset it by now, on systems where that matters
            tune(sock)
        super().__init__(sock, *arguments)


def tune(sock: socket.socket) -> None:
    """Have small answers sent at once, and dead peers noticed (tcp(7)).

    The sockets that a listening one accepts inherit both.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
