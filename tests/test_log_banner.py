"""The banner: client commands, and the addresses that other machines can use."""

from __future__ import annotations

import pytest

from sockd.log.banner import client_command, reachable, service_lines, ssh_command, url
from sockd.model.address import Address, OwnHosts
from sockd.model.records import Listener
from sockd.testing import FakeDaemon

ALL_IPV4, ALL_IPV6 = "0.0.0.0", "::"
HOSTS = OwnHosts(("192.0.2.1",), ("2001:db8::1",), is_dual=True)


def listener(host: str, transport: str = "tcp") -> Listener:
    return Listener(transport, Address(host, 7000), 50)


def hosts(host: str, own: OwnHosts) -> list[str]:
    """Return the hosts at which a listener is said to be reached."""
    return [one.address.host for one in reachable([listener(host)], own)]


@pytest.mark.parametrize(
    ("bound", "named"),
    [
        (ALL_IPV4, ["192.0.2.1"]),
        (ALL_IPV6, ["192.0.2.1", "2001:db8::1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("198.51.100.7", ["198.51.100.7"]),
    ],
)
def test_a_wildcard_is_named_by_the_addresses_it_stands_for(bound: str, named: list[str]) -> None:
    assert hosts(bound, HOSTS) == named


def test_double_colon_stands_for_ipv4_only_where_the_system_says_so() -> None:
    assert hosts(ALL_IPV6, OwnHosts(HOSTS.ipv4, HOSTS.ipv6, is_dual=False)) == ["2001:db8::1"]


def test_a_few_addresses_of_each_family_are_enough() -> None:
    many = OwnHosts(
        tuple(f"192.0.2.{number}" for number in range(1, 100)),
        tuple(f"2001:db8::{number}" for number in range(1, 100)),
        is_dual=True,
    )
    assert hosts(ALL_IPV6, many) == [
        *("192.0.2.1", "192.0.2.2", "192.0.2.3"),
        *("2001:db8::1", "2001:db8::2", "2001:db8::3"),
    ]


@pytest.mark.parametrize(("bound", "said"), [(ALL_IPV4, "127.0.0.1"), (ALL_IPV6, "::1")])
def test_loopback_is_named_where_there_is_nothing_else(bound: str, said: str) -> None:
    [one] = reachable([listener(bound)], OwnHosts())
    assert client_command(one) == f"nc {said} 7000"


def test_a_service_has_a_line_for_each_address() -> None:
    daemon = FakeDaemon()
    daemon.add("echo").record.listeners = (listener(ALL_IPV6), listener("127.0.0.1", "tls"))
    daemon.add("datagrams").record.listeners = (listener(ALL_IPV4, "udp"),)
    records = [service.record for service in daemon.services.values()]
    assert list(service_lines(records, HOSTS)) == [
        "echo       nc 192.0.2.1 7000",
        "echo       nc 2001:db8::1 7000",
        "echo       openssl s_client -quiet -connect 127.0.0.1:7000",
        "datagrams  nc -u 192.0.2.1 7000",
    ]


def test_a_unix_socket_is_where_it_is() -> None:
    unix = Listener("unix", Address("/run/lab.sock"), 50)
    assert list(reachable([unix], HOSTS)) == [unix]
    assert client_command(unix) == "nc -U /run/lab.sock"
    assert ssh_command(unix, "mary") == "ssh -o ProxyCommand='nc -U /run/lab.sock' mary@localhost"
    assert url(unix, "/ports") == "curl --unix-socket /run/lab.sock http://localhost/ports"


def test_stats_and_shell_on_all_addresses_are_named_like_services() -> None:
    found = list(reachable([listener(ALL_IPV6)], HOSTS))
    assert [url(one, "/ports") for one in found] == [
        "curl http://192.0.2.1:7000/ports",
        "curl http://[2001:db8::1]:7000/ports",
    ]
    assert [ssh_command(one, "admin") for one in found] == [
        "ssh -p 7000 admin@192.0.2.1",
        "ssh -p 7000 admin@2001:db8::1",
    ]
