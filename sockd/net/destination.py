"""The check whether an address is a multicast or broadcast address.

Broadcast addresses depend on the networks that this machine is connected to, so the kernel is
asked.
"""

from __future__ import annotations

import errno
import socket

from sockd.model.ip import ip_of

_DISCARD = 9


def reaches_many(host: str) -> bool:
    """Return whether an address is a multicast or broadcast address.

    :raise OSError: if no descriptor is available for the check.
    """
    address = ip_of(host)
    return address.is_multicast or (address.version == 4 and _is_broadcast(str(address)))


def _is_broadcast(host: str) -> bool:
    """Return whether connect(2) fails as it does for broadcast (ip(7)); UDP sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex((host, _DISCARD)) == errno.EACCES
