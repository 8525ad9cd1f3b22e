"""The addresses at which other machines reach this one.

Only the kernel is asked: no packet is sent, no name is resolved, and nothing blocks. The address
that routing would select comes first. On Linux the other addresses follow; other systems report
only the first.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from sockd.model.address import OwnHosts

_ELSEWHERE = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8:ffff::1"}
"""Documentation addresses (RFC 5737, RFC 3849), which only the default route covers."""

_DISCARD = 9
_MOST_INTERFACES = 100
_IF_INET6 = Path("/proc/net/if_inet6")
_LINE = re.compile(r"^([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) ", re.MULTILINE)
_UNUSABLE = 0x68
"""``IFA_F_DADFAILED``, ``IFA_F_DEPRECATED`` and ``IFA_F_TENTATIVE`` (linux/if_addr.h)."""

_GLOBAL = 0x00
_REQUEST = struct.Struct("@16s240x")
_RUNNING = 0x40
_SIOCGIFFLAGS = 0x8913
_SIOCGIFADDR = 0x8915


def own_hosts() -> OwnHosts:
    """Return the current addresses of this machine."""
    return OwnHosts(
        for_others([*_routed(socket.AF_INET), *_of_interfaces()]),
        for_others([*_routed(socket.AF_INET6), *_ipv6_of_interfaces()]),
        _is_dual(),
    )


def for_others(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses that other machines can use, without duplicates.

    Link-local IPv4 addresses (RFC 3927) come last. Link-local IPv6 addresses are omitted: they need
    a scope, which differs on each machine.
    """
    found = {host: ip_address(host) for host in hosts}
    useful = [
        host
        for host, address in found.items()
        if not (address.is_loopback or address.is_unspecified)
        and not (address.version == 6 and address.is_link_local)
    ]
    return tuple(sorted(useful, key=lambda host: found[host].is_link_local))


def global_addresses(if_inet6: str) -> Iterator[str]:
    """Return the usable global addresses of Linux's ``/proc/net/if_inet6``."""
    for digits, scope, flags in _LINE.findall(if_inet6):
        if int(scope, 16) == _GLOBAL and not int(flags, 16) & _UNUSABLE:
            yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))


def _routed(family: socket.AddressFamily) -> Iterator[str]:
    """Return the source address of the default route; connect(2) on UDP sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_ELSEWHERE[family], _DISCARD))
            yield probe.getsockname()[0]
    except OSError:
        return


def _of_interfaces() -> Iterator[str]:
    """Return the IPv4 address of each interface that has a carrier (netdevice(7))."""
    if sys.platform != "linux":
        return
    from fcntl import ioctl  # POSIX only

    try:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return
    with probe:
        for name in _interfaces():
            request = _REQUEST.pack(os.fsencode(name))
            try:
                [flags] = struct.unpack_from("@H", ioctl(probe, _SIOCGIFFLAGS, request), 16)
                if flags & _RUNNING:
                    yield socket.inet_ntoa(ioctl(probe, _SIOCGIFADDR, request)[20:24])
            except OSError:
                continue  # the interface has no IPv4 address, or was removed


def _interfaces() -> list[str]:
    """Return the names of up to 100 interfaces; none if a sandbox blocks netlink(7)."""
    try:
        return [name for _, name in socket.if_nameindex()[:_MOST_INTERFACES]]
    except OSError:
        return []


def _ipv6_of_interfaces() -> Iterator[str]:
    try:
        return global_addresses(_IF_INET6.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # not Linux, or without IPv6
        return iter(())


def _is_dual() -> bool:
    """Return whether a socket that is bound to ``::`` accepts IPv4 too (RFC 3493, 5.3)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False
