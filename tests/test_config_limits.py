"""Limits are read for each service, from its own section or else from [sockd]."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from sockd.limits.buckets import UNLIMITED, RateLimit
from sockd.limits.spec import LimitsSpec
from tests.configurations import SERVICE, errors, read

OTHER = "[service:other]\nkind = multi\nlisten = tcp:65433:interface=127.0.0.1\n"
DEFAULTS = """[sockd]
allow = 192.0.2.0/24, 2001:db8::/32
deny = 192.0.2.7
per_source = 3
connect_rate = 10/m
total_rate = 100/s
idle_timeout = 1m
max_lifetime = 1h
max_bytes = 1KiB
"""
_NETWORK = "(such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32)"


def limits(text: str) -> LimitsSpec:
    """Return the limits of a file's first service."""
    return read(text).services[0].limits


def test_without_a_word_there_are_no_limits() -> None:
    assert limits(SERVICE) == LimitsSpec()


@pytest.mark.parametrize("text", [DEFAULTS + SERVICE, SERVICE + DEFAULTS])
def test_what_stands_in_sockd_holds_for_every_service(text: str) -> None:
    services = read(text + OTHER).services
    assert [service.limits for service in services] == [
        LimitsSpec(
            allow=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")),
            deny=(ip_network("192.0.2.7"),),
            per_source=3,
            connect_rate=RateLimit(10, 60.0),
            total_rate=RateLimit(100, 1.0),
            max_lifetime=3600.0,
            max_bytes=1024,
        )
    ] * 2
    assert [service.idle_timeout for service in services] == [60.0] * 2


def test_what_a_service_says_itself_goes_before_it() -> None:
    own = "per_source = 0\nconnect_rate = 0\nidle_timeout = 0\nallow =\ndeny = ::ffff:192.0.2.8\n"
    first, second = read(DEFAULTS + SERVICE + own + OTHER).services
    assert (first.limits.per_source, first.limits.connect_rate) == (0, UNLIMITED)
    assert (first.limits.allow, first.limits.deny) == ((), (ip_network("192.0.2.8"),))
    assert (first.idle_timeout, first.limits.max_bytes) == (0.0, 1024)
    assert (second.limits.per_source, second.idle_timeout) == (3, 60.0)


def test_an_error_in_a_default_is_told_once_and_where_it_stands() -> None:
    message = "[sockd]\nconnect_rate = fast\nidle_timeout = long\n"
    assert errors(message + SERVICE + OTHER) == [
        (
            "lab.ini:2: [sockd] connect_rate: 'fast' is not a valid rate"
            " (a whole number, / and ms, s, m or h, such as 100/s or 10/m)"
        ),
        (
            "lab.ini:3: [sockd] idle_timeout: 'long' is not a valid duration"
            " (a number and ms, s, m or h, such as 500ms or 5s)"
        ),
    ]


def test_budgets_of_datagrams_are_on_unless_they_are_switched_off_by_name() -> None:
    on = limits(SERVICE)
    assert UNLIMITED not in (on.source_packets, on.source_bytes, on.total_packets, on.total_bytes)
    off = "source_packets = 0\nsource_bytes = 1KiB/m\nunguarded = reflector, own_port\n"
    spec = limits(SERVICE + off)
    assert (spec.source_packets, spec.source_bytes) == (UNLIMITED, RateLimit(1024, 60.0))
    assert spec.unguarded == ("reflector", "own_port")
    assert errors(SERVICE + "unguarded = reflectors\n") == [
        (
            "lab.ini:4: [service:echo] unguarded: 'reflectors' is not a valid value"
            " (broadcast, port_zero, own_port or reflector)"
        )
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lab.example", f"'lab.example' is not an address or a network {_NETWORK}"),
        ("192.0.2.256", f"'192.0.2.256' is not an address or a network {_NETWORK}"),
        (
            "192.0.2.1/24",
            (
                "'192.0.2.1/24' has host bits set"
                " (192.0.2.0/24, or the address without a prefix length)"
            ),
        ),
    ],
)
def test_what_is_no_network_is_an_error_in_its_line(text: str, message: str) -> None:
    listed = f"deny =\n    192.0.2.9\n    {text}\n"
    assert errors(SERVICE + listed) == [f"lab.ini:6: [service:echo] deny: {message}"]
