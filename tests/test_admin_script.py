"""Standard input is cut into statements that are known to be complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.admin.prompt.script import MAX_STATEMENT, ParseBudget, Script

BLOCK = "if x:\n    y = 1\nelse:\n    y = 2\nprint(y)\n"


def test_a_simple_statement_runs_with_its_line() -> None:
    script = Script()
    assert script.feed(b"x =") == []
    assert script.feed(b" 1\r\ny = 2; z = 3\n") == ["x = 1", "y = 2; z = 3"]
    assert script.end() == ""


def test_a_block_runs_with_the_next_line_that_is_not_in_it() -> None:
    script = Script()
    *block, last = BLOCK.encode().splitlines(keepends=True)
    assert [script.feed(line) for line in block] == [[], [], [], []]
    assert script.feed(last) == [BLOCK.rstrip("\n")]


@pytest.mark.parametrize("text", ["f(1,\n  2)\n", 's = """a\nb"""\n', "a = 1 + \\\n 2\n"])
def test_a_statement_of_several_lines_runs_with_its_last(text: str) -> None:
    first, _, rest = text.encode().partition(b"\n")
    script = Script()
    assert script.feed(first + b"\n") == []
    assert script.feed(rest) == [text.rstrip("\n")]


def test_what_stands_before_a_block_does_not_wait_for_its_end() -> None:
    script = Script()
    assert script.feed(b"x = 1\nfor i in x:\n  i\n") == ["x = 1"]
    assert script.end().split("\n")[:2] == ["for i in x:", "  i"]


def test_a_match_waits_for_its_cases() -> None:
    script = Script()
    assert script.feed(b"match x:\n  case 1:\n    pass\n") == []
    assert script.feed(b"y\n") == ["match x:\n  case 1:\n    pass\ny"]


def test_remarks_and_empty_lines_are_not_kept() -> None:
    script = Script()
    assert script.feed(b"\n# a remark\n\n") == []
    assert script.end() == ""


def test_a_mistake_waits_for_the_end_of_the_input() -> None:
    script = Script()
    assert script.feed(b"1 +* 2\nx = 1\n") == []
    assert script.end() == "1 +* 2\nx = 1\n"


def test_input_without_an_end_is_refused() -> None:
    script = Script()
    with pytest.raises(ValueError, match="longer than"):
        script.feed(b"x" * (MAX_STATEMENT + 1))


@given(st.lists(st.integers(min_value=1, max_value=9)))
def test_how_the_input_is_cut_makes_no_difference(sizes: list[int]) -> None:
    data = b"x = 1\n" + BLOCK.encode() + b"y\n"
    whole = Script()
    expected = [*whole.feed(data), whole.end()]
    script = Script()
    got: list[str] = []
    for size in sizes:
        got += script.feed(data[:size])
        data = data[size:]
    got += [*script.feed(data), script.end()]
    assert got == expected


def test_a_statement_is_parsed_at_each_line_while_it_is_short() -> None:
    budget = ParseBudget()
    assert all(budget.allows(size) for size in range(40, 2000, 40))


def test_all_of_the_parsing_grows_with_the_length_and_not_with_its_square() -> None:
    budget = ParseBudget()
    spent = sum(size for size in range(40, MAX_STATEMENT, 40) if budget.allows(size))
    assert spent < 3 * MAX_STATEMENT


LONG = "x = [\n" + "1234, 5678,\n" * 20_000 + "]\n"


def test_a_long_statement_runs_with_its_last_line() -> None:
    script = Script()
    *lines, last = LONG.encode().splitlines(keepends=True)
    assert script.feed(b"".join(lines)) == []
    assert script.feed(last) == [LONG.rstrip("\n")]


def test_what_comes_after_a_long_statement_runs_line_by_line_again() -> None:
    script = Script()
    script.feed(LONG.encode())
    assert script.feed(b"y\nz\n") == ["y", "z"]
