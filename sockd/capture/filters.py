"""From the listeners of the services to a capture filter (pcap-filter(7)). Pure.

The text is made of numbers and of addresses that are written anew from their bits. Nothing that
a peer, or the configuration, has the text of can get into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from sockd.model.records import Listener, ServiceRecord


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A server port on the wire.

    :ivar protocol: ``tcp`` or ``udp``.
    :ivar host: the address that it is bound to; empty for all.
    """

    protocol: str
    number: int
    host: str = ""


def ports_of(listeners: Iterable[Listener]) -> frozenset[Port]:
    """Return the ports of listeners; unix sockets have none, and are on no wire."""
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
    """The ports to capture, as services come and go.

    The ports of a service that was stopped stay until the last of its connections is gone.
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
    """Return the filter that lets the packets of these ports through, in both directions."""
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
    """Return the one text of an address without its scope; nothing for a wildcard."""
    address = ip_address(host.partition("%")[0])
    return "" if address.is_unspecified else str(address)
