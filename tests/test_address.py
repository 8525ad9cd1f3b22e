"""Addresses as text."""

from __future__ import annotations

import pytest

from sockd.model.address import Address, is_unix_name, unix_address
from sockd.model.ip import normalised


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


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (b"", ""),
        (b"/run/lab", "/run/lab"),
        (b"abcd", "./abcd"),
        (b"127.0.0.1", "./127.0.0.1"),
        (b"./a", "./a"),
        (b"../a", "../a"),
        (b"\xff", r"./\xff"),
        (b"\0lab", r"\x00lab"),
        (rb"\x00lab", r"./\\x00lab"),
        (b"[::1]", "./[::1]"),
    ],
)
def test_a_unix_name_is_never_taken_for_an_ip_address(name: bytes, host: str) -> None:
    assert unix_address(name) == Address(host)
    assert is_unix_name(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "[::1]", r"\x01", "a/b"])
def test_an_ip_address_is_never_taken_for_a_unix_name(host: str) -> None:
    assert not is_unix_name(host)
