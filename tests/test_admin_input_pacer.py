"""Input that is paced runs a line at a time, waits for slow readers, and is bounded."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from sockd.admin.prompt.input_pacer import MAX_PENDING, PAUSE, InputPacer


class Pipe:
    """Something that is fed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pieces: list[bytes] = []
        self.is_slow = False
        self.ends: list[str] = []
        self.paced = InputPacer(
            self.clock, self.pieces.append, lambda: self.is_slow, lambda: self.ends.append("full")
        )

    def later(self) -> None:
        """Let a pause go by."""
        self.clock.advance(PAUSE)


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def test_keys_are_handed_on_at_once(pipe: Pipe) -> None:
    pipe.paced.write(b"a")
    pipe.paced.write(b"b")
    assert pipe.pieces == [b"a", b"b"]


def test_lines_are_handed_on_one_at_a_time(pipe: Pipe) -> None:
    pipe.paced.write(b"one\ntwo\r\nthree\rrest")
    seen = []
    for _ in range(4):
        seen.append(list(pipe.pieces))
        pipe.later()
    assert seen[0] == [b"one\n"]
    assert seen[1] == [b"one\n", b"two\r\n"]
    assert seen[3] == [b"one\n", b"two\r\n", b"three\r", b"rest"]


def test_lines_one_by_one_are_paced_as_well(pipe: Pipe) -> None:
    for _ in range(100):
        pipe.paced.write(b"x\n")
    assert pipe.pieces == [b"x\n"]


def test_a_long_line_comes_in_pieces(pipe: Pipe) -> None:
    pipe.paced.write(b"x" * 1000)
    assert pipe.pieces == [b"x" * 256]
    for _ in range(3):
        pipe.later()
    assert b"".join(pipe.pieces) == b"x" * 1000


def test_nothing_is_asked_while_the_answers_are_not_read(pipe: Pipe) -> None:
    pipe.is_slow = True
    pipe.paced.write(b"one\n")
    pipe.later()
    assert pipe.pieces == []
    pipe.is_slow = False
    pipe.later()
    assert pipe.pieces == [b"one\n"]


def test_the_end_comes_after_the_last_line(pipe: Pipe) -> None:
    pipe.paced.write(b"one\ntwo")
    pipe.paced.end(lambda: pipe.ends.append("end"))
    assert pipe.ends == []
    pipe.later()
    assert (pipe.pieces, pipe.ends) == ([b"one\n", b"two"], ["end"])
    assert pipe.clock.getDelayedCalls() == []


def test_an_end_without_input_comes_at_once(pipe: Pipe) -> None:
    pipe.paced.end(lambda: pipe.ends.append("end"))
    assert pipe.ends == ["end"]


def test_too_much_is_the_end(pipe: Pipe) -> None:
    pipe.paced.write(b"\n" * (MAX_PENDING + 1))
    pipe.paced.write(b"more\n")
    pipe.later()
    assert (pipe.pieces, pipe.ends) == ([], ["full"])


def test_nothing_is_left_when_it_is_closed(pipe: Pipe) -> None:
    pipe.paced.write(b"one\ntwo\n")
    pipe.paced.close()
    pipe.paced.end(lambda: pipe.ends.append("end"))
    assert pipe.clock.getDelayedCalls() == []
    assert (pipe.pieces, pipe.ends) == ([b"one\n"], [])
