"""Parsing of option values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sockd.config.values import (
    boolean,
    byte_rate_limit,
    choice,
    duration,
    host_name,
    integer,
    known,
    line,
    rate,
    rate_limit,
    size,
    user_name,
)
from sockd.errors import InvalidValue, SourceLocation
from sockd.limits.buckets import UNLIMITED, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD: list[tuple[Callable[[str], object], str, object]] = [
    (duration, "0", 0.0),
    (duration, "0s", 0.0),
    (duration, "500ms", 0.5),
    (duration, "5s", 5.0),
    (duration, "1.5 m", 90.0),
    (duration, "8784h", 366 * 86400.0),
    (size, "0", 0),
    (size, "512B", 512),
    (size, "64KB", 64_000),
    (size, "64 KiB", 65_536),
    (size, "10MiB", 10_485_760),
    (size, "1GB", 1_000_000_000),
    (size, "1GiB", 1_073_741_824),
    (rate, "0", 0.0),
    (rate, "100/s", 100.0),
    (rate, "30 / m", 0.5),
    (rate, "1/ms", 1000.0),
    (rate_limit, "0", UNLIMITED),
    (rate_limit, "0/s", UNLIMITED),
    (rate_limit, "100/s", RateLimit(100, 1.0)),
    (rate_limit, "10 / m", RateLimit(10, 60.0)),
    (byte_rate_limit, "0", UNLIMITED),
    (byte_rate_limit, "10MiB/s", RateLimit(10_485_760, 1.0)),
    (byte_rate_limit, "64 KB / m", RateLimit(64_000, 60.0)),
    (boolean, "yes", True),
    (boolean, "On", True),
    (boolean, "true", True),
    (boolean, "1", True),
    (boolean, "NO", False),
    (boolean, "off", False),
    (boolean, "false", False),
    (boolean, "0", False),
    (integer(1, 10), "1", 1),
    (integer(1, 10), "010", 10),
    (choice("refuse", "wait"), "wait", "wait"),
    (known("kind", ["tcp", "udp"]), "udp", "udp"),
    (line, "", ""),
    (line, "Büro 3, 50 %", "Büro 3, 50 %"),
    (user_name, "o'neil@lab", "o'neil@lab"),
    (host_name, "Lab-1.Example", "lab-1.example"),
    (host_name, "192.0.2.1", "192.0.2.1"),
    (host_name, "2001:DB8::1", "2001:db8::1"),
    (host_name, "[::1]", "[::1]"),
]

BAD: list[tuple[Callable[[str], object], str]] = [
    *((duration, text) for text in ("", "5", "s", "-1s", "5 days", "1e3s", ".5s", "5\ns", "٣s")),
    *((duration, text) for text in ("8785h", "999999999h", "5S")),
    *((size, text) for text in ("", "64", "KB", "-1B", "1.5KB", "1kb", "1TB", "1\nKB")),
    *((rate, text) for text in ("", "5", "/s", "5/", "-1/s", "5/day", "1.5/s", "5\n/s")),
    *((rate_limit, text) for text in ("", "5", "none", "-1/s", "10MiB/s")),
    *((byte_rate_limit, text) for text in ("", "10/s", "10MiB", "0B/s", "10mib/s", "1MiB/day")),
    *((boolean, text) for text in ("", "2", "yes no", "ja", "y")),
    *((integer(1, 10), text) for text in ("", "0", "11", "-1", "+1", "1.0", "1_0", "a", "٣")),
    (integer(0, 10), "9" * 5000),
    *((choice("refuse", "wait"), text) for text in ("", "Wait", "refuse wait")),
    *((known("kind", ["tcp"]), text) for text in ("", "TCP", "udp")),
    *((line, text) for text in ("a\nb", "\x1b[31m", "\x7f", "a\u202eb", "\ud800")),
    *((user_name, text) for text in ("", "a b", "a:b", "ä", "a" * 65, "a\n")),
    *((host_name, text) for text in ("", "http://a", "a/b", "a b", "a:80", "[::1]:80", "[a]")),
    *((host_name, text) for text in ("a" * 254, "ä.example", "a\n", "fe80::1%eth0", "*")),
]


@pytest.mark.parametrize(("parse", "text", "value"), GOOD)
def test_a_text_has_its_meaning(parse: Callable[[str], object], text: str, value: object) -> None:
    result = parse(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(("parse", "text"), BAD)
def test_a_text_that_does_not_fit_says_what_would(
    parse: Callable[[str], object], text: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(text)
    problem = str(caught.value.at(SourceLocation("f", 1)))
    assert problem.isprintable()
    assert len(problem) < 250
    assert caught.value.hint


def test_a_hint_follows_the_unknown_name() -> None:
    with pytest.raises(InvalidValue) as caught:
        known("kind", ["tcp"], "; a plugin is broken")("tpc")
    assert caught.value.message == "unknown kind 'tpc'; a plugin is broken"
    assert caught.value.hint == "did you mean tcp?"
