"""The paths of bytes through the daemon; all of them must give the same results."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from sockd.services.fastpath.ring import IoUringEchoer
from tests.certificates import TLSFiles
from tests.clients import connect
from tests.conftest import RunSockd
from tests.harness import Sockd

ENDPOINT = "tcp:0:interface=127.0.0.1"
STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.1 50412 443\r\n"
PLAIN = ("lane", "one by one", "no lane", "proxied", "select", "asyncio")
NAMES = (*PLAIN, "tls")


def has_io_uring() -> bool:
    """Return whether io_uring(7) is available to this process."""
    try:
        IoUringEchoer().close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Path:
    """One path.

    :ivar name: one of :data:`NAMES`; ``one by one`` is the fast path without io_uring(7).
    """

    name: str
    run: RunSockd
    tls_files: TLSFiles

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted: without half-close, and with a reset that looks like the end."""
        return self.name == "tls"

    def start(self, service: str = "", daemon: str = "") -> Sockd:
        """Start a daemon with a `multi` service.

        :param service: more lines for its section.
        :param daemon: more lines for ``[sockd]``.
        """
        endpoint = self.tls_files.endpoint(0) if self.is_tls else ENDPOINT
        if self.name == "proxied":
            service += "proxy = 127.0.0.1\n"
        fast_path = {"no lane": "lane = no\n", "one by one": "io_uring = no\n"}.get(self.name, "")
        reactor = (f"--reactor={self.name}",) if self.name in ("select", "asyncio") else ()
        ini = (
            f"[sockd]\n{fast_path}{daemon}[service:s]\nkind = multi\nlisten = {endpoint}\n{service}"
        )
        return self.run(ini + STATS, options=reactor)

    def dial(self, sockd: Sockd) -> socket.socket:
        """Return a client."""
        plain = connect(sockd.port("s"))
        if self.name == "proxied":
            plain.sendall(HEADER)
        if not self.is_tls:
            return plain
        context = self.tls_files.client_context()
        return context.wrap_socket(plain, server_hostname="localhost")
