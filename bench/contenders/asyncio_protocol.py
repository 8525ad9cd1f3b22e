"""An echo server on asyncio's transports and protocols, for TCP or UDP.

``asyncio_protocol.py [--uvloop] tcp|udp PORT``: ``--uvloop`` selects uvloop.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._transport.write(data)


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Send it back."""
        self._transport.sendto(data, addr)


async def serve(transport: str, port: int) -> None:
    """Serve until the process is terminated."""
    loop = asyncio.get_running_loop()
    if transport == "udp":
        await loop.create_datagram_endpoint(DatagramEcho, ("127.0.0.1", port))
    else:
        await loop.create_server(Echo, "127.0.0.1", port, backlog=4096)
    await asyncio.Event().wait()


def main(words: list[str]) -> None:
    """Read the command line and serve."""
    *options, transport, port = words
    factory = asyncio.new_event_loop
    if options == ["--uvloop"]:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(transport, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
