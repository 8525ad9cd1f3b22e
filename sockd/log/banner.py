"""The startup banner: for each listener, the command that connects to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sockd.model.address import ALL_IPV4, ALL_IPV6, Address, OwnHosts
from sockd.model.records import Listener, ServiceRecord

_LOOPBACK = {ALL_IPV4: "127.0.0.1", ALL_IPV6: "::1"}


def reachable(listeners: Iterable[Listener], own: OwnHosts) -> Iterator[Listener]:
    """Return the listeners at the addresses that clients can use.

    A listener that is bound to all addresses is returned once for each address of the machine. If
    the machine has only loopback, the wildcard stays, and the commands below name loopback for it.
    """
    for listener in listeners:
        address = listener.address
        for host in own.behind(address.host) or (address.host,):
            yield replace(listener, address=Address(host, address.port))


def service_lines(records: Sequence[ServiceRecord], own: OwnHosts) -> Iterator[str]:
    """Return a line for each address of each listener of each service."""
    width = max((len(record.name) for record in records), default=0)
    for record in records:
        for listener in reachable(record.listeners, own):
            yield f"{record.name:<{width}}  {client_command(listener)}"


def client_command(listener: Listener) -> str:
    """Return the command that connects to a listener from this machine."""
    host, port = _reachable(listener.address), listener.address.port
    match listener.transport:
        case "unix":
            return f"nc -U {listener.address.host}"
        case "udp":
            return f"nc -u {host} {port}"
        case "tls":
            return f"openssl s_client -quiet -connect {Address(host, port)}"
        case _:
            return f"nc {host} {port}"


def url(listener: Listener, path: str) -> str:
    """Return the command that sends a request to an HTTP listener."""
    if listener.transport == "unix":
        return f"curl --unix-socket {listener.address.host} http://localhost{path}"
    host = Address(_reachable(listener.address), listener.address.port)
    scheme = "https" if listener.transport == "tls" else "http"
    return f"curl {scheme}://{host}{path}"


def ssh_command(listener: Listener, user: str) -> str:
    """Return the command that opens the admin shell."""
    if listener.transport == "unix":
        return f"ssh -o ProxyCommand='nc -U {listener.address.host}' {user}@localhost"
    return f"ssh -p {listener.address.port} {user}@{_reachable(listener.address)}"


def telnet_command(listener: Listener) -> str:
    """Return the command that opens the admin shell over telnet."""
    if listener.transport == "unix":
        return f"nc -U {listener.address.host}"
    return f"telnet {_reachable(listener.address)} {listener.address.port}"


def _reachable(address: Address) -> str:
    return _LOOPBACK.get(address.host, address.host)
