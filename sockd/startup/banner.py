"""The banner: the lines in the log that say what listens, and how to connect to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from sockd import __version__
from sockd.log.banner import reachable, service_lines, ssh_command, telnet_command, url
from sockd.model.address import OwnHosts
from sockd.net.own_addresses import own_hosts

if TYPE_CHECKING:
    from sockd.admin.service import AdminService
    from sockd.interfaces import IDaemon
    from sockd.stats.service import StatsService

BannerLines = Callable[[OwnHosts], Iterable[str]]
"""Returns some lines of the banner, given the addresses of this machine."""


def banner(parts: Iterable[BannerLines]) -> Iterator[str]:
    """Return all lines; call it once every port is bound."""
    own = own_hosts()
    for lines in parts:
        yield from lines(own)


def daemon_lines(daemon: IDaemon, own: OwnHosts) -> Iterator[str]:
    """Return the version, the process, and a command for each listener of a service."""
    yield f"sockd {__version__}, {daemon.name}, process {os.getpid()}"
    yield from service_lines([service.record for service in daemon.services.values()], own)


def stats_lines(stats: StatsService, own: OwnHosts) -> Iterator[str]:
    """Return the addresses of the stats endpoint."""
    for listener in reachable(stats.listeners, own):
        yield f"stats: {url(listener, '/ports')}"


def admin_lines(admin: AdminService, own: OwnHosts) -> Iterator[str]:
    """Return the commands that open a session of the admin shell."""
    for listener in reachable(admin.ssh_listeners, own):
        yield f"admin: {ssh_command(listener, admin.user)}"
    for listener in admin.telnet_listeners:
        yield f"admin: {telnet_command(listener)}"
    if admin.password_notice:
        yield f"admin: {admin.password_notice}"
