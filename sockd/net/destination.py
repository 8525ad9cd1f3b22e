"""Asks the system whether an address stands for many hosts: multicast, or broadcast.

Which addresses are broadcast depends on the networks that this machine is in, and only the system
knows those.
"""

from __future__ import annotations

import errno
import socket

from sockd.model.ip import ip_of

_DISCARD = 9


def reaches_many(host: str) -> bool:
    """Return whether what is sent to an address would reach more than one host.

    :raise OSError: if the system cannot be asked, for want of a descriptor.
    """
    address = ip_of(host)
    return address.is_multicast or (address.version == 4 and _is_broadcast(str(address)))


def _is_broadcast(host: str) -> bool:
    """Return whether it is; connect(2) of UDP sends nothing, and fails where that is so (ip(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex((host, _DISCARD)) == errno.EACCES
