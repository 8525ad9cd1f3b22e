"""Two hosts on one link: network namespaces with a veth pair, removed after the test.

Needs root and iproute2 (ip-netns(8), veth(4)). The addresses are documentation addresses (RFC 5737,
RFC 3849), and the hosts have no default route.
"""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.harness import DEADLINE


class Program:
    """A program that runs on a host, and its input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def type(self, line: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """Return the next line of its output, without the line end."""
        assert self._process.stdout is not None
        too_late = threading.Timer(DEADLINE, self._process.kill)
        too_late.start()
        line = self._process.stdout.readline()
        too_late.cancel()
        return line.removesuffix("\n")

    def rest(self) -> str:
        """Send the end of input (Ctrl-D); return the rest of the output after a successful exit."""
        said, _ = self._process.communicate(timeout=DEADLINE)
        assert self._process.returncode == 0
        return said


@dataclass(frozen=True)
class Host:
    """A namespace with one interface, ``wire``, besides loopback.

    :ivar link_local: its IPv6 address on the wire, without the scope.
    """

    name: str
    link_local: str
    ipv4: str
    ipv6: str

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a command line that runs a program on this host."""
        return ("ip", "netns", "exec", self.name, *words)

    def run(self, *words: str, given: str = "", deadline: float = DEADLINE) -> str:
        """Return the output of a program on this host, which must succeed."""
        done = subprocess.run(
            self.command(*words),
            input=given,
            capture_output=True,
            encoding="utf-8",
            timeout=deadline,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, url: str) -> Any:
        """Return the JSON that curl gets on this host."""
        return json.loads(self.run("curl", "--silent", "--fail", "--globoff", url))

    @contextmanager
    def start(self, *words: str) -> Iterator[Program]:
        """Start a program on this host; it is stopped at the end."""
        with subprocess.Popen(
            self.command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            try:
                yield Program(process)
            finally:
                process.kill()


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Create two hosts whose interfaces are up and whose addresses are usable."""
    label = uuid.uuid4().hex[:8]
    hosts = (
        Host(f"sockd-{label}-a", "fe80::a", "192.0.2.1", "2001:db8::1"),
        Host(f"sockd-{label}-b", "fe80::b", "192.0.2.2", "2001:db8::2"),
    )
    try:
        for host in hosts:
            _ip("netns", "add", host.name)
        pair = ("type", "veth", "peer", "name", "wire", "netns", hosts[1].name)
        _ip("-n", hosts[0].name, "link", "add", "wire", *pair)
        for host in hosts:
            _ip("-n", host.name, "link", "set", "lo", "up")
            # Without this there would be a second link-local address, made from the MAC address.
            _ip("-n", host.name, "link", "set", "wire", "addrgenmode", "none")
            _ip("-n", host.name, "link", "set", "wire", "up")
            for address in (f"{host.link_local}/64", f"{host.ipv6}/64"):
                _ip("-n", host.name, "address", "add", address, "dev", "wire", "nodad")
            _ip("-n", host.name, "address", "add", f"{host.ipv4}/24", "dev", "wire")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
