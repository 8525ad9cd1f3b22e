"""Endpoint strings in Twisted's syntax, parsed before anything is bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactorClock

from sockd.config.endpoint import (
    Endpoint,
    parse_any,
    parse_datagram,
    parse_private,
    parse_stream,
)
from sockd.errors import InvalidValue, SourceLocation

PLACE = SourceLocation("lab.ini", 3, "service:x", "listen")


def parsed(text: str) -> Endpoint:
    return parse_any(text, PLACE)


@pytest.mark.parametrize(
    ("text", "kind", "host", "port"),
    [
        ("tcp:80", "tcp", "0.0.0.0", 80),
        ("TCP:80", "tcp", "0.0.0.0", 80),
        ("tcp:80:127.0.0.1:5", "tcp", "127.0.0.1", 80),
        ("tcp:port=80:interface=localhost", "tcp", "127.0.0.1", 80),
        (r"tcp:0:interface=\:\:1", "tcp", "::1", 0),
        ("tcp6:80", "tcp6", "::", 80),
        (r"tcp6:80:5:\:\:1", "tcp6", "::1", 80),
        (r"tcp6:80:interface=fe80\:\:1%lo", "tcp6", "fe80::1%lo", 80),
        ("ssl:443:key.pem", "ssl", "0.0.0.0", 443),
        ("tls:certs", "tls", "::", 443),
        ("tls:certs:8443", "tls", "::", 8443),
        (r"udp:53:interface=ff02\:\:1", "udp", "ff02::1", 53),
        ("unix:/run/s", "unix", "", None),
        ("systemd:domain=INET:index=0", "systemd", "", None),
        ("haproxy:tcp:80", "haproxy", "", None),
    ],
)
def test_an_endpoint_knows_where_it_is(text: str, kind: str, host: str, port: int | None) -> None:
    endpoint = parsed(text)
    assert (endpoint.kind, endpoint.host, endpoint.port) == (kind, host, port)
    assert (endpoint.text, endpoint.location) == (text, PLACE)


def test_the_path_of_a_unix_socket_is_known() -> None:
    assert parsed(r"unix:/run/a\:b\=c:mode=660").path == "/run/a:b=c"
    assert parsed("tcp:1").path is None


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("tcp:1", False),
        ("tcp6:1", False),
        ("tcp:1:interface=127.9.9.9", True),
        ("tcp:1:interface=localhost", True),
        (r"tcp6:1:interface=\:\:1", True),
        (r"tcp6:1:interface=fe80\:\:1%lo", False),
        ("unix:s", True),
        ("systemd:domain=INET:index=0", False),
    ],
)
def test_only_loopback_and_unix_sockets_are_private(text: str, is_private: bool) -> None:
    assert parsed(text).is_private is is_private


def test_each_parser_takes_its_sort() -> None:
    assert parse_stream("tcp:1", PLACE).port == 1
    assert parse_datagram("udp:1", PLACE).port == 1
    assert parse_private("unix:s", PLACE).path == "s"
    for parse, text in (
        (parse_stream, "udp:1"),
        (parse_datagram, "tcp:1"),
        (parse_datagram, "haproxy:tcp:1"),
        (parse_private, "tcp:1"),
        (parse_private, "udp:1:interface=127.0.0.1"),
    ):
        with pytest.raises(InvalidValue):
            parse(text, PLACE)


def test_a_default_fills_only_what_is_left_open() -> None:
    assert parsed("tcp:1").with_default("backlog", "50").parameter("backlog") == "50"
    assert parsed("tcp:1:backlog=5").with_default("backlog", "50").parameter("backlog") == "5"
    assert parsed("udp:1").with_default("backlog", "50").parameter("backlog") is None
    assert (
        parsed("haproxy:tcp:1:backlog=5").with_default("backlog", "50").parameter("backlog") == "5"
    )
    assert parsed("systemd:index=0").with_default("backlog", "50").parameter("backlog") is None
    foreign = parsed("haproxy:tcp:1").with_default("backlog", "50")
    assert (foreign.parameter("backlog"), foreign.description) == ("50", "haproxy:tcp:1")
    assert foreign.with_default("mode", "600") == foreign


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("unix:s", "unix:address=/lab/s"),
        ("unix:/run/s:mode=600", "unix:address=/run/s:mode=600"),
        ("tls:certs:1", "tls:path=/lab/certs:port=1"),
        ("ssl:1", "ssl:port=1:privateKey=/lab/server.pem"),
        (
            "ssl:1:privateKey=k:certKey=/c:extraCertChain=x:dhParameters=d",
            "ssl:port=1:privateKey=/lab/k:certKey=/c:extraCertChain=/lab/x:dhParameters=/lab/d",
        ),
        ("tcp:1", "tcp:port=1"),
        (r"haproxy:unix:a\=b\:c", r"haproxy:unix:a\=b\:c"),
    ],
)
def test_file_names_are_taken_from_a_folder(text: str, description: str) -> None:
    assert parsed(text).relative_to(Path("/lab")).description == description


def test_binding_looks_no_name_up() -> None:
    assert parsed("tcp:1:interface=localhost").description == "tcp:port=1:interface=127.0.0.1"


WORD = st.text("ab/\\:=, é", min_size=1, max_size=8).map(
    lambda text: text.replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")
)


@given(WORD, WORD)
def test_twisted_reads_the_description_as_it_reads_the_text(path: str, interface: str) -> None:
    reactor = MemoryReactorClock()
    for text in (f"unix:{path}", f"unix:address={path}:mode=600"):
        theirs = serverFromString(reactor, text)
        ours = serverFromString(reactor, parsed(text).description)
        assert vars(ours)["_address"] == vars(theirs)["_address"] == parsed(text).path
    text = f"endpoint-of-a-plugin:{path}:interface={interface}"
    assert parsed(text).description == text


@given(st.text("tcpud6:=\\1 %.af", max_size=20))
def test_any_text_is_an_endpoint_or_unfit(text: str) -> None:
    try:
        endpoint = parsed(text)
    except InvalidValue as invalid:
        problem = str(invalid.at(PLACE))
        assert problem.isprintable()
    else:
        assert parsed(endpoint.description).description == endpoint.description
        assert isinstance(endpoint.is_private, bool)
        assert not endpoint.collides_with(parsed("udp:0"))


def test_collisions_are_mutual() -> None:
    texts = [
        "tcp:1",
        "tcp:1:interface=127.0.0.1",
        "tcp:1:interface=127.0.0.2",
        "tcp6:1",
        r"tls:c:1:interface=\:\:1",
        "udp:1",
        "tcp:0",
        "tcp:2",
        "unix:a",
        "unix:b",
        "haproxy:tcp:1",
    ]
    collisions = {
        (one, other)
        for one in texts
        for other in texts
        if one < other and parsed(one).collides_with(parsed(other))
    }
    assert collisions == {
        ("tcp:1", "tcp:1:interface=127.0.0.1"),
        ("tcp:1", "tcp:1:interface=127.0.0.2"),
        ("tcp6:1", r"tls:c:1:interface=\:\:1"),
    }
    for one in texts:
        for other in texts:
            assert parsed(one).collides_with(parsed(other)) == parsed(other).collides_with(
                parsed(one)
            )
