"""The lines to copy: for each listener, the command that talks to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sockd.address import Address
from sockd.ledger import Listener, ServiceRecord

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - said, not bound


def service_lines(records: Sequence[ServiceRecord]) -> Iterator[str]:
    """Return a line for each listener of each service."""
    width = max((len(record.name) for record in records), default=0)
    for record in records:
        for listener in record.listeners:
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
    """Return the command that asks an HTTP listener."""
    if listener.transport == "unix":
        return f"curl --unix-socket {listener.address.host} http://localhost{path}"
    host = Address(_reachable(listener.address), listener.address.port)
    scheme = "https" if listener.transport == "tls" else "http"
    return f"curl {scheme}://{host}{path}"


def ssh_command(listener: Listener, user: str) -> str:
    """Return the command that opens the admin shell."""
    return f"ssh -p {listener.address.port} {user}@{_reachable(listener.address)}"


def telnet_command(listener: Listener) -> str:
    """Return the command that opens the admin shell over telnet."""
    if listener.transport == "unix":
        return f"nc -U {listener.address.host}"
    return f"telnet {_reachable(listener.address)} {listener.address.port}"


def _reachable(address: Address) -> str:
    return _LOOPBACK.get(address.host, address.host)
