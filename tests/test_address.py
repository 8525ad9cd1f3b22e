"""Addresses as people read them."""

from __future__ import annotations

import pytest

from sockd.address import Address, normalised


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("127.0.0.1", 80), "127.0.0.1:80"),
        (Address("::1", 80), "[::1]:80"),
        (Address("fe80::1%eth0", 0), "[fe80::1%eth0]:0"),
        (Address("/run/lab.sock"), "/run/lab.sock"),
        (Address(""), "a unix client"),
        (Address("\0lab\x1b[2J\nBind \udcff"), r"\x00lab\x1b[2J\nBind \udcff"),
    ],
)
def test_an_address_reads_as_in_a_url(address: Address, text: str) -> None:
    assert str(address) == text


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("::ffff:0:1", "::ffff:0:1"),
        ("::ffff:c000:201", "::ffff:c000:201"),
    ],
)
def test_an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer(host: str, normal: str) -> None:
    assert normalised(host) == normal
