"""The capture filter for the listeners of the services (pcap-filter(7)). Pure.

It consists of numbers, and of addresses that are formatted from their bits. It never contains text
of a peer or of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from sockd.model.records import Listener, ServiceRecord


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A server port.

    :ivar protocol: ``tcp`` or ``udp``.
    :ivar host: the address that it is bound to; empty for all.
    """

    protocol: str
    number: int
    host: str = ""


def ports_of(listeners: Iterable[Listener]) -> frozenset[Port]:
    """Return the ports of listeners. Unix sockets have none."""
    return frozenset(
        Port(
            "udp" if listener.transport == "udp" else "tcp",
            listener.address.port,
            _filter_host(listener.address.host),
        )
        for listener in listeners
        if listener.address.port is not None
    )


class Followed:
    """The ports to capture, as services start and stop.

    The ports of a stopped service stay until its last connection has ended.
    """

    def __init__(self) -> None:
        self._ports: dict[str, frozenset[Port]] = {}

    def ports(self, services: Iterable[ServiceRecord]) -> frozenset[Port]:
        """Return the ports to capture now."""
        return frozenset().union(*map(self._ports_of, services))

    def _ports_of(self, service: ServiceRecord) -> frozenset[Port]:
        kept = self._ports.get(service.name, frozenset()) if service.active else frozenset()
        found = self._ports[service.name] = kept | ports_of(service.listeners)
        return found


def capture_filter(ports: Iterable[Port]) -> str:
    """Return the filter that accepts the packets of some ports, in both directions."""
    return " or ".join(map(_term, sorted(ports)))


def _term(port: Port) -> str:
    spot = f"{port.protocol} %s port {port.number:d}"
    if not port.host:
        return f"({spot % 'src'}) or ({spot % 'dst'})"
    family = "ip6" if ":" in port.host else "ip"
    return " or ".join(
        f"({family} {way} host {port.host} and {spot % way})" for way in ("src", "dst")
    )


def _filter_host(host: str) -> str:
    """Return the canonical text of an address without its scope; empty for a wildcard."""
    address = ip_address(host.partition("%")[0])
    return "" if address.is_unspecified else str(address)
