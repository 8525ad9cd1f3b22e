"""A proxy in front of a daemon that can hold back its event streams."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from tests.clients import LOOPBACK, connect


class Muffler(ThreadingTCPServer):
    """Forwards connections to a daemon's stats endpoint; as a context manager it runs.

    :ivar is_open: set while the events get through. The other answers always do.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, stats_url: str) -> None:
        super().__init__((LOOPBACK, 0), _Relay)
        self.target = urlsplit(stats_url).port or 80
        self.is_open = threading.Event()
        self.is_open.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where the browser goes instead."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        """End it; what is kept back may go."""
        self.is_open.set()
        self.shutdown()
        self.server_close()


class _Relay(BaseRequestHandler):
    """One connection of the browser."""

    server: Muffler
    request: socket.socket

    def handle(self) -> None:
        """Forward both ways until one side closes."""
        self._is_stream = False
        with connect(self.server.target) as self._daemon:
            back = threading.Thread(target=self._forward_answers, daemon=True)
            back.start()
            with suppress(OSError):
                while data := self.request.recv(65536):
                    self._is_stream = b"GET /events" in data
                    self._daemon.sendall(data)
            with suppress(OSError):
                self._daemon.shutdown(socket.SHUT_RDWR)
            back.join()

    def _forward_answers(self) -> None:
        with suppress(OSError):
            while data := self._daemon.recv(65536):
                if self._is_stream:
                    self.server.is_open.wait()
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_RDWR)
