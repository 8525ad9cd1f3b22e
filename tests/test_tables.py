"""Tables are aligned, and their cells cannot control a terminal."""

from __future__ import annotations

import pytest

from sockd.render.tables import pairs, seconds, table


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    text = table(("name", "opened"), [("echo", 7), ("upper-case", 12345)])
    assert text.split("\n") == [
        "name        opened",
        "echo             7",
        "upper-case   12345",
    ]


def test_a_missing_value_is_a_hyphen_and_numbers_still_stand_right() -> None:
    assert table(("waiting",), [(None,), (12,)]).split("\n") == ["waiting", "      -", "     12"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert table(("id", "peer"), []) == "id  peer"


def test_a_cell_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in table(("peer",), [("\x1b[2J",)])
    assert "\n" not in pairs([("peer", "a\nb")])


def test_pairs_stand_below_each_other() -> None:
    assert pairs([("a", 1), ("long", None)]) == "a     1\nlong  -"
    assert pairs([]) == ""


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (-0.5, "0.0s"),
        (0.54, "0.5s"),
        (12.9, "12s"),
        (185, "3m05s"),
        (7620, "2h07m"),
        (349_200, "4d01h"),
    ],
)
def test_durations_are_read_at_a_glance(duration: float, shown: str) -> None:
    assert seconds(duration) == shown
