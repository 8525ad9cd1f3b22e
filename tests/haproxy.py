"""A real HAProxy in front of a service."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness import DEADLINE

BALANCER = "127.0.0.9"
"""The source address of its connections to the service."""

_CONFIGURATION = """
defaults
    mode tcp
    timeout connect {deadline}s
    timeout client {deadline}s
    timeout server {deadline}s
listen lab
    bind fd@{descriptor}
    server lab 127.0.0.1:{port} source {balancer} {words}
"""


@contextmanager
def haproxy(program: str, folder: Path, port: int, words: str) -> Iterator[int]:
    """Relay to a port in TCP mode; return the port for clients.

    :param words: further options of the ``server`` line, such as ``send-proxy``.
    """
    with socket.create_server(("127.0.0.1", 0)) as front:
        file = folder / "haproxy.cfg"
        text = _CONFIGURATION.format(
            deadline=int(DEADLINE),
            descriptor=front.fileno(),
            port=port,
            balancer=BALANCER,
            words=words,
        )
        file.write_text(text, encoding="ascii")
        process = subprocess.Popen(
            [program, "-db", "-q", "-f", str(file)],
            pass_fds=(front.fileno(),),
            stdin=subprocess.DEVNULL,
        )
        try:
            yield front.getsockname()[1]
        finally:
            process.terminate()
            process.wait(DEADLINE)
