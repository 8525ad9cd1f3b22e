"""The guard accepts only requests that name this host."""

from __future__ import annotations

import pytest

from sockd.stats.http.answers import RequestError
from sockd.stats.http.guard import Head, admitted
from sockd.stats.http.hosts import KnownHosts, canonical, host_of
from sockd.stats.http.target import Target, parse_target

ARRIVED_AT = "192.0.2.7"
KNOWN = KnownHosts(["Lab.Example.", "[2001:DB8:0::1]"])


def ask(
    *hosts: str,
    uri: str = "/stats",
    method: str = "GET",
    version: str = "HTTP/1.1",
    arrived_at: str = ARRIVED_AT,
) -> Target:
    """Pass a request through the guard."""
    values = tuple(host.encode("latin-1") for host in hosts)
    head = Head(method.encode(), uri.encode(), version.encode(), values, arrived_at)
    return admitted(head, KNOWN)


def status_of(*hosts: str, **head: str) -> int:
    """Return the status of the refusal."""
    with pytest.raises(RequestError) as caught:
        ask(*hosts, **head)
    return caught.value.status


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8007",
        "localhost.",
        "localhost.:80",
        "localhost:",
        "127.0.0.1",
        "127.8.9.10:1",
        "[::1]",
        "[::1]:8007",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "192.0.2.7:8007",
        "lab.example",
        "LAB.example.:8007",
        "[2001:db8::1]:8007",
    ],
)
def test_the_hosts_of_this_machine_are_known(host: str) -> None:
    assert ask(host).segments == ("stats",)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.localhost",
        "192.0.2.8",
        "[2001:db8::2]",
        "127.1",
        "0.0.0.0",
        "lab.example..",
    ],
)
def test_another_host_is_misdirected(host: str) -> None:
    assert status_of(host) == 421


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8007",
        "localhost:http",
        "localhost:80:80",
        "localhost, evil.example",
        "local host",
        "user@localhost",
        "http://localhost",
        "localhost/",
        "::1",
        "[::1",
        "[]",
        "[127.0.0.1]",
        "[:::]",
        "lócalhost",
        "localhost\x00",
        "localhost\x7f",
    ],
)
def test_a_malformed_host_is_a_bad_request(host: str) -> None:
    assert status_of(host) == 400


def test_only_http_1_0_may_leave_the_host_out() -> None:
    assert ask(version="HTTP/1.0").segments == ("stats",)
    assert status_of(version="HTTP/1.1") == 400
    assert status_of("evil.example", version="HTTP/1.0") == 421


def test_two_hosts_are_a_bad_request_even_if_both_are_known() -> None:
    assert status_of("localhost", "localhost") == 400
    assert status_of("localhost", "evil.example", version="HTTP/1.0") == 400


def test_the_address_that_the_client_reached_is_known_in_any_text() -> None:
    for host, arrived_at in [
        ("192.0.2.9", "::ffff:192.0.2.9"),
        ("[fe80::1]", "fe80::1%eth0"),
        ("[FE80::1%25eth0]:80", "fe80::1%eth0"),
        ("localhost", ""),
    ]:
        assert ask(host, arrived_at=arrived_at).segments == ("stats",)
    assert status_of("192.0.2.9", arrived_at="") == 421


def test_the_host_of_an_absolute_target_counts_too() -> None:
    assert ask("localhost", uri="http://127.0.0.1:8007/ports?x=1").segments == ("ports",)
    assert ask("localhost", uri="HTTPS://localhost").segments == ("",)
    assert ask("localhost", uri="http://localhost?x").segments == ("",)
    assert status_of("localhost", uri="http://evil.example/ports") == 421
    assert status_of("evil.example", uri="http://localhost/ports") == 421
    assert status_of("localhost", uri="http:///ports") == 400
    assert status_of("localhost", uri="http://evil@localhost/ports") == 400


@pytest.mark.parametrize("uri", ["stats", "*", "localhost:8007", "ftp://localhost/stats", "?x=1"])
def test_a_target_that_is_no_path_is_a_bad_request(uri: str) -> None:
    assert status_of("localhost", uri=uri) == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "HEADS"])
def test_other_methods_are_told_which_are_allowed(method: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask("localhost", method=method)
    assert (caught.value.status, caught.value.headers) == (405, {"Allow": "GET, HEAD"})


def test_options_for_the_server_as_a_whole_is_an_other_method_too() -> None:
    assert status_of("localhost", method="OPTIONS", uri="*") == 405


def test_errors_do_not_repeat_what_the_client_sent() -> None:
    with pytest.raises(RequestError) as caught:
        ask("evil.example")
    assert "evil" not in str(caught.value)


def test_a_target_is_taken_apart() -> None:
    target = parse_target(b"/services/a%2Fb%20c?x=1&y=a+b&x=%32&z=&w")
    assert target.authority is None
    assert target.segments == ("services", "a/b c")
    assert dict(target.parameters) == {"x": ("1", "2"), "y": ("a b",), "z": ("",), "w": ("",)}


def test_a_path_that_begins_with_two_slashes_is_no_authority() -> None:
    target = parse_target(b"//evil.example/stats")
    assert (target.authority, target.segments) == (None, ("", "evil.example", "stats"))


def test_hosts_have_one_canonical_form() -> None:
    assert canonical("Example.COM.") == "example.com"
    assert canonical("[2001:DB8:0:0::1]") == "2001:db8::1"
    assert host_of("[::FFFF:192.0.2.1]:80") == "192.0.2.1"
