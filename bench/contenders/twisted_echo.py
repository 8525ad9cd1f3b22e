"""The usual echo server with Twisted: ``twisted_echo.py tcp|udp PORT``."""

from __future__ import annotations

import sys
from typing import Any, cast

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorUDP, ITransport
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.udp import Port as UDPPort


class Echo(Protocol):
    """Sends back what it receives."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        cast(ITransport, self.transport).write(data)


class DatagramEcho(DatagramProtocol):
    """Sends each datagram back."""

    transport: UDPPort

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Send it back."""
        self.transport.write(datagram, addr)


def main(transport: str, port: int) -> None:
    """Serve until the process is terminated."""
    from twisted.internet import reactor

    if transport == "udp":
        IReactorUDP(reactor).listenUDP(port, DatagramEcho(), "127.0.0.1", 8192)
    else:
        endpoint = TCP4ServerEndpoint(reactor, port, 4096, "127.0.0.1")
        endpoint.listen(Factory.forProtocol(Echo))
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
