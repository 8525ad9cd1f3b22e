"""Untrusted text becomes safe for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.support.text import escaped, glance, listed, nearest, printable, quoted, rfc3339


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Grüße, 日本", "plain, Grüße, 日本"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\nb\t\0", r"a\r\nb\t\x00"),
        ("\x9b\x7f", r"\x9b\x7f"),
        ("\u202e\u2066", r"\u202e\u2066"),
        ("\u2028", r"\u2028"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_could_steer_a_terminal_becomes_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_every_text_becomes_printable_and_stays_so(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


def test_a_quotation_is_a_glance() -> None:
    assert quoted("a\n") == r"'a\n'"
    assert quoted("x" * 60) == f"'{'x' * 60}'"
    assert quoted("x" * 61) == f"'{'x' * 60}…'"
    assert glance("\x1b" * 61) == r"\x1b" * 60 + "…"


def test_names_are_listed_as_a_person_does() -> None:
    assert listed(["tcp"]) == "tcp"
    assert listed(["tcp", "udp"]) == "tcp or udp"
    assert listed(["tcp", "udp", "multi"]) == "tcp, udp or multi"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tpc", "did you mean tcp?"),
        ("MULTI", "did you mean Multi?"),
        ("zebra", "known: tcp, udp, Multi"),
        ("", "known: tcp, udp, Multi"),
        ("multi" * 100_000, "known: tcp, udp, Multi"),
    ],
)
def test_the_hint_is_the_most_similar_name(name: str, hint: str) -> None:
    assert nearest(name, ["tcp", "udp", "Multi"]) == hint


def test_times_are_utc_to_the_microsecond() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(1_700_000_000.25) == "2023-11-14T22:13:20.250000Z"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/run/grüße.sock".encode(), "/run/grüße.sock"),
        (b"\0lab", r"\x00lab"),
        (b"a\nb\x1b[2J", r"a\x0ab\x1b[2J"),
        (b"caf\xe9", r"caf\xe9"),
        ("\u202e\xa0".encode(), r"\xe2\x80\xae\xc2\xa0"),
        (b"\xed\xb3\xbf", r"\xed\xb3\xbf"),
        (rb"\xe9", r"\\xe9"),
    ],
)
def test_a_name_is_utf8_and_the_rest_of_it_is_escaped_byte_by_byte(name: bytes, shown: str) -> None:
    assert escaped(name) == shown


@given(st.binary(), st.binary())
def test_different_names_are_different_in_print_and_stay_so(one: bytes, other: bytes) -> None:
    shown = escaped(one)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert (shown == escaped(other)) == (one == other)
