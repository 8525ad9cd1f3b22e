"""Access lists: the most specific network decides, whatever the order and the notation."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.limits.access import AccessList
from sockd.model.address import Address
from sockd.model.ip import IPAddress, IPNetwork


def access(allow: str = "", deny: str = "") -> AccessList:
    return AccessList(map(ip_network, allow.split()), map(ip_network, deny.split()))


def admits(lists: AccessList, host: str) -> bool:
    return lists.admits(Address(host, 50001))


@pytest.mark.parametrize(
    ("allow", "deny", "host", "may"),
    [
        ("", "", "192.0.2.1", True),
        ("", "192.0.2.1", "192.0.2.1", False),
        ("", "192.0.2.1", "192.0.2.2", True),
        ("192.0.2.0/24", "", "192.0.2.9", True),
        ("192.0.2.0/24", "", "198.51.100.1", False),
        ("192.0.2.0/24", "", "2001:db8::1", False),
        ("192.0.2.7", "192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.0/24", "192.0.2.8", False),
        ("192.0.2.7", "192.0.2.0/24", "198.51.100.1", False),
        ("192.0.2.0/24", "192.0.2.7", "192.0.2.7", False),
        ("192.0.2.0/24", "192.0.2.0/24", "192.0.2.7", False),
        ("", "0.0.0.0/0", "2001:db8::1", True),
        ("", "::/0", "192.0.2.1", True),
        ("fe80::/10", "", "fe80::1%eth0", True),
        ("2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1", False),
        ("192.0.2.0/24", "", "::ffff:192.0.2.1", True),
        ("::ffff:c000:200/120", "", "192.0.2.1", True),
    ],
)
def test_who_may_come_in(allow: str, deny: str, host: str, may: bool) -> None:
    assert admits(access(allow, deny), host) is may


def test_a_peer_without_an_address_is_not_asked_for_one() -> None:
    assert access("192.0.2.1").admits(Address("", None))
    assert access("192.0.2.1").admits(Address("/run/client.sock", None))


def _networks(version: int) -> st.SearchStrategy[IPNetwork]:
    """Return networks that are close enough to overlap."""
    bits, base = (32, 0xC0000200) if version == 4 else (128, 0x20010DB8 << 96)

    def network(low: int, length: int) -> IPNetwork:
        address: IPAddress = (IPv4Address if version == 4 else IPv6Address)(base | low)
        return ip_network(f"{address}/{length}", strict=False)

    return st.builds(network, st.integers(0, 255), st.integers(bits - 10, bits))


near = st.lists(st.one_of(_networks(4), _networks(6)), max_size=8)
hosts = st.one_of(
    st.integers(0xC0000100, 0xC00002FF).map(IPv4Address),
    st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 1023).map(IPv6Address),
)


def naive(allow: list[IPNetwork], deny: list[IPNetwork], host: IPAddress) -> bool:
    holding = [(one.prefixlen, False) for one in deny if host in one]
    holding += [(one.prefixlen, True) for one in allow if host in one]
    if not holding:
        return not allow
    longest = max(length for length, _ in holding)
    return (longest, False) not in holding


@given(near, near, hosts)
def test_the_longest_prefix_decides_as_a_look_at_each_of_them_does(
    allow: list[IPNetwork], deny: list[IPNetwork], host: IPAddress
) -> None:
    assert admits(AccessList(allow, deny), str(host)) is naive(allow, deny, host)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_an_ipv4_network_is_the_same_in_either_spelling(number: int, length: int) -> None:
    plain = ip_network((number, length), strict=False)
    mapped = IPv6Network((0xFFFF << 32 | int(plain.network_address), 96 + length))
    host = str(ip_address(number))
    for lists in (AccessList([plain], []), AccessList([mapped], [])):
        assert admits(lists, host)
        assert admits(lists, f"::ffff:{host}")
    assert AccessList([plain], [mapped]).admits(Address(host, 1)) is False
