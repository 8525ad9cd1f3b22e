"""The addresses of this machine that others can use, and how the kernel is asked."""

from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from sockd.net.own_addresses import for_others, global_addresses, own_hosts
from tests.harness import wait_until
from tests.namespaces import Host

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
20010db8000000000000000000000008 02 40 00 01     eth0
20010db8000000000000000000000009 02 40 00 20     eth0
20010db8000000000000000000000010 02 40 00 40     eth0
20010db8000000000000000000000011 02 40 00 08     eth0
fe80000000000000000000000000000a 02 40 20 80     eth0
fd00000000000000000000000000000b 0a 40 00 82 docker0
"""

ASK = """
from sockd.net.own_addresses import own_hosts
own = own_hosts()
print(*own.ipv4)
print(*own.ipv6)
print(own.is_dual)
"""


def test_addresses_of_no_use_elsewhere_are_left_out() -> None:
    given = ["127.0.0.1", "0.0.0.0", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1"]
    assert for_others(given) == ("192.0.2.1", "fd00::1")


def test_each_address_comes_once_and_the_first_stays_first() -> None:
    assert for_others(["10.0.0.9", "192.0.2.1", "10.0.0.9", "10.0.0.1"]) == (
        *("10.0.0.9", "192.0.2.1"),
        "10.0.0.1",
    )


def test_what_a_machine_gave_itself_for_want_of_a_network_comes_last() -> None:
    assert for_others(["169.254.7.7", "192.0.2.1"]) == ("192.0.2.1", "169.254.7.7")


def test_linux_lists_global_ipv6_addresses_that_can_be_used() -> None:
    assert list(global_addresses(IF_INET6)) == ["2001:db8::7", "2001:db8::8", "fd00::b"]


def test_a_sandbox_without_netlink_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> list[tuple[int, str]]:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(socket, "if_nameindex", refused)
    assert own_hosts().is_dual in {True, False}


def test_a_process_without_a_descriptor_left_knows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", refused)
    assert own_hosts().ipv4 == ()


def asked(host: Host) -> list[str]:
    """Return the IPv4 addresses, the IPv6 addresses, and whether ``::`` accepts both."""
    return host.run(sys.executable, "-c", ASK).splitlines()


@pytest.mark.network
def test_a_host_without_a_way_out_knows_its_addresses(wire: tuple[Host, Host]) -> None:
    host, _ = wire
    assert asked(host) == ["192.0.2.1", "2001:db8::1", "True"]


@pytest.mark.network
def test_the_address_that_leads_out_comes_first(wire: tuple[Host, Host]) -> None:
    host, neighbour = wire
    for address in ("192.0.2.77/24", "203.0.113.5/24", "2001:db8:5::5/64"):
        host.run("ip", "address", "add", address, "dev", "wire", *(["nodad"] * (":" in address)))
    host.run("ip", "link", "add", "idle", "type", "veth", "peer", "name", "other")
    host.run("ip", "address", "add", "203.0.113.99/24", "dev", "idle")
    host.run("ip", "link", "set", "idle", "up")
    wait_for_no_carrier(host, "idle")
    gateways = {"-4": neighbour.ipv4, "-6": neighbour.ipv6}
    sources = {"-4": "203.0.113.5", "-6": "2001:db8:5::5"}
    for family, gateway in gateways.items():
        host.run("ip", family, "route", "add", "default", "via", gateway, "src", sources[family])
    ipv4, ipv6, _ = asked(host)
    assert ipv4.split() == ["203.0.113.5", "192.0.2.1"]
    assert ipv6.split() == ["2001:db8:5::5", "2001:db8::1"]


@pytest.mark.network
@pytest.mark.parametrize("name", ["rede-ü\u2028x", "a\x1cb", os.fsdecode(b"odd\xff")])
def test_an_interface_may_have_any_name(wire: tuple[Host, Host], name: str) -> None:
    host, _ = wire
    host.run("ip", "link", "set", "wire", "down")
    host.run("ip", "link", "set", "wire", "name", name)
    host.run("ip", "link", "set", name, "up")
    host.run("ip", "address", "add", f"{host.ipv6}/64", "dev", name, "nodad")
    wait_until(lambda: asked(host)[:2] == [host.ipv4, host.ipv6])


@pytest.mark.network
def test_a_host_whose_cable_is_out_has_no_addresses(wire: tuple[Host, Host]) -> None:
    host, neighbour = wire
    neighbour.run("ip", "link", "set", "wire", "down")
    wait_for_no_carrier(host, "wire")
    assert asked(host)[0] == ""


def wait_for_no_carrier(host: Host, interface: str) -> None:
    """Wait until the kernel has noticed that an interface has no carrier."""
    wait_until(lambda: "NO-CARRIER" in host.run("ip", "link", "show", interface))


@pytest.mark.network
def test_asking_sends_nothing(wire: tuple[Host, Host]) -> None:
    host, neighbour = wire
    for family, gateway in {"-4": neighbour.ipv4, "-6": neighbour.ipv6}.items():
        host.run("ip", family, "route", "add", "default", "via", gateway)
    before = sent_datagrams(host)
    assert asked(host)[0] == host.ipv4
    assert sent_datagrams(host) == before


def sent_datagrams(host: Host) -> list[str]:
    """Return the number of UDP datagrams that a host has sent (the counters of RFC 4113)."""
    ipv4 = host.run("sh", "-c", "grep ^Udp: /proc/net/snmp").splitlines()
    ipv6 = host.run("sh", "-c", "grep ^Udp6OutDatagrams /proc/net/snmp6").split()
    names, counts = (line.split() for line in ipv4)
    return [counts[names.index("OutDatagrams")], ipv6[1]]
