"""The INI reader: configparser's syntax, and the line of everything."""

from __future__ import annotations

from sockd.config import ini

FILE = "lab.ini"


def test_sections_and_options_know_their_lines() -> None:
    document = ini.read(FILE, "# lab\n\n[a]\nx = 1\n[b]\n  y: 2\n")
    assert [(s.name, s.line) for s in document.sections.values()] == [("a", 3), ("b", 5)]
    assert document.sections["a"].entries["x"].line == 4
    assert document.sections["b"].entries["y"].line == 6
    assert document.problems == []


def test_each_line_of_a_value_knows_its_number() -> None:
    document = ini.read(FILE, "[a]\nx = 1\n  2\n\n  # remark\n  3\n\ny = 4\n")
    entry = document.sections["a"].entries["x"]
    assert entry.lines == [(2, "1"), (3, "2"), (4, ""), (6, "3"), (7, "")]
    assert entry.text == "1\n2\n\n3"


def test_names_of_options_are_in_lower_case_and_names_of_sections_are_not() -> None:
    document = ini.read(FILE, "[Lab]\nName = Lab\n")
    assert document.sections["Lab"].entries["name"].text == "Lab"


def test_only_whole_lines_are_comments() -> None:
    document = ini.read(FILE, "  ; remark\n[a]\n# remark\nx = 1 ; no # remark\n")
    assert document.sections["a"].entries["x"].text == "1 ; no # remark"


def test_a_percent_sign_is_ordinary() -> None:
    document = ini.read(FILE, "[a]\nx = 100% %(y)s %%\n")
    assert document.sections["a"].entries["x"].text == "100% %(y)s %%"


def test_what_continues_a_wrong_line_is_not_wrong_too() -> None:
    document = ini.read(FILE, "[a]\nx\n  y\n  z = 1\nw = 2\n")
    assert [problem.location.line for problem in document.problems] == [2]
    assert list(document.sections["a"].entries) == ["w"]


def test_what_continues_a_long_line_is_not_read() -> None:
    document = ini.read(FILE, f"[a]\nx = 1\ny = {'y' * ini.MAX_LINE_LENGTH}\n  2\nz = 3\n")
    assert [problem.location.line for problem in document.problems] == [3]
    assert {name: e.text for name, e in document.sections["a"].entries.items()} == {
        "x": "1",
        "z": "3",
    }


def test_white_space_does_not_make_a_line_long() -> None:
    blanks = " " * ini.MAX_LINE_LENGTH
    document = ini.read(FILE, f"[a]\n{blanks}\nx = 1{blanks}\n{blanks}2\n")
    assert document.sections["a"].entries["x"].text == "1\n2"
    assert document.problems == []


def test_the_first_of_two_sections_and_of_two_options_counts() -> None:
    document = ini.read(FILE, "[a]\nx = 1\nX = 2\n[b]\n[a]\nx = 3\n")
    assert document.sections["a"].entries["x"].text == "1"
    assert [str(problem) for problem in document.problems] == [
        "lab.ini:3: [a] x: duplicate option (first defined in line 2)",
        "lab.ini:5: [a]: duplicate section (first defined in line 1)",
    ]
