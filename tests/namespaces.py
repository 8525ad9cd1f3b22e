"""Two hosts on one wire: network namespaces joined by a veth pair, gone after the test.

Needs root and iproute2 (ip-netns(8), veth(4)).
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    """A namespace with one interface, ``wire``.

    :ivar link_local: its IPv6 address on the wire, without the scope.
    """

    name: str
    link_local: str

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a command line that runs a program on this host."""
        return ("ip", "netns", "exec", self.name, *words)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Make them, with link-local addresses alone."""
    label = uuid.uuid4().hex[:8]
    hosts = Host(f"sockd-{label}-a", "fe80::a"), Host(f"sockd-{label}-b", "fe80::b")
    try:
        for host in hosts:
            _ip("netns", "add", host.name)
        pair = ("type", "veth", "peer", "name", "wire", "netns", hosts[1].name)
        _ip("-n", hosts[0].name, "link", "add", "wire", *pair)
        for host in hosts:
            _ip("-n", host.name, "link", "set", "lo", "up")
            _ip("-n", host.name, "link", "set", "wire", "up")
            _ip("-n", host.name, "address", "add", f"{host.link_local}/64", "dev", "wire", "nodad")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
