"""The ``proxy`` option: the networks of the load balancers that send a PROXY header."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sockd.config.endpoint import DATAGRAM
from sockd.config.limits import network
from sockd.support.text import quoted

if TYPE_CHECKING:
    from sockd.config.endpoint import Endpoint
    from sockd.config.options import SectionOptions
    from sockd.model.ip import IPNetwork

_PLAIN = frozenset({"tcp", "tcp6", "systemd"})
"""The endpoints that support a PROXY header: their connections are plain sockets."""

_BEFORE_TLS = "the PROXY header is sent before TLS, and {} expects TLS first"
_REASONS = MappingProxyType(
    {
        "ssl": _BEFORE_TLS,
        "tls": _BEFORE_TLS,
        "unix": "clients of {} have no IP address",
        DATAGRAM: "{} receives datagrams; PROXY headers are read from streams only",
    }
)


def read_proxy(options: SectionOptions, listen: tuple[Endpoint, ...]) -> tuple[IPNetwork, ...]:
    """Return the networks of a section's balancers; without any, no header is read.

    :param listen: the endpoints of the section. Those that cannot have a header are reported.
    """
    balancers = options.values("proxy", network)
    for endpoint in listen if balancers else ():
        if endpoint.kind.lower() not in _PLAIN:
            reason = _REASONS.get(endpoint.kind.lower(), "the PROXY header cannot be read from {}")
            hint = "use a tcp endpoint, or remove proxy"
            options.complain("proxy", reason.format(quoted(endpoint.text)), hint)
    return balancers
