"""Checks of a configuration before the start that need more than its text.

Twisted and its plugins check the endpoints, and the files that a section names are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from sockd.admin.descriptors import admin_descriptors
from sockd.capture.descriptors import CAPTURE_DESCRIPTORS
from sockd.config.endpoint import DATAGRAM, SYSTEMD, Endpoint
from sockd.config.specs import AdminSpec, Configuration, ServiceSpec
from sockd.errors import InvalidValue, Problem
from sockd.net.server_endpoints import server_endpoint
from sockd.net.tls.certificates import certificates_of
from sockd.process.descriptors import Demand
from sockd.reactor import IReactor
from sockd.registry import Registry
from sockd.stats.descriptors import stats_descriptors

_AT_START = frozenset({DATAGRAM, SYSTEMD})
"""Endpoints that are checked at the start: Twisted does not know them, or systemd passes them."""


def usable(endpoint: Endpoint, reactor: IReactor) -> None:
    """Check an endpoint with Twisted and its plugins.

    :raise sockd.errors.InvalidValue: if they do not accept it.
    """
    if endpoint.kind not in _AT_START:
        server_endpoint(reactor, endpoint)


def admin_files(spec: AdminSpec) -> list[Problem]:
    """Return the problems of the files that ``[admin]`` names."""
    from sockd.admin.auth import credentials  # imports conch, which only the shell needs

    return credentials.check(spec)


def admin_logins(spec: AdminSpec) -> list[Problem]:
    """Return the problems of those files that a reload reads again."""
    from sockd.admin.auth import credentials

    return credentials.check_logins(spec)


def warnings(configuration: Configuration, now: float) -> Iterator[Problem]:
    """Return the warnings about a valid configuration, such as certificates that expire.

    :param now: in seconds since the epoch.
    """
    for endpoint in configuration.endpoints:
        if endpoint.is_encrypted:
            with suppress(InvalidValue):  # replaced meanwhile; binding reports the error
                for invalid in certificates_of(endpoint).warnings(now):
                    yield invalid.at(endpoint.location)


def descriptor_demand(configuration: Configuration, registry: Registry) -> Demand:
    """Return the maximum number of descriptors that a configuration needs."""
    stats, admin = configuration.stats, configuration.admin
    others = (stats_descriptors(stats) if stats else 0) + (admin_descriptors(admin) if admin else 0)
    others += CAPTURE_DESCRIPTORS if configuration.capture else 0
    services = {spec.name: registry.descriptors(spec) for spec in configuration.services}
    return Demand(services, others)


def service_summary(spec: ServiceSpec) -> str:
    """Return the line that ``--check`` prints for a service."""
    endpoints = ", ".join(endpoint.text for endpoint in spec.listen)
    return f"{spec.name}: {spec.kind} on {endpoints}, reply {spec.reply}"
