"""The interactive shell edits lines, runs them, and leaves the terminal as it found it."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.admin.prompt.console import Console
from sockd.admin.prompt.interpreter import Interpreter
from sockd.admin.prompt.terminal import Shell, Terminal

GREETING = "hello: commands() lists the commands"


class Person:
    """Somebody at a terminal."""

    def __init__(self) -> None:
        self.screen = b""
        self.has_left = False
        self.work: Deferred[str] = Deferred()
        self.shell = Shell(self._interpreter, GREETING, Clock(), lambda: False)
        self.terminal = Terminal(self.shell, self._show, self._leave)

    def type(self, text: str | bytes) -> str:
        """Return what typing brings to the screen."""
        self.screen = b""
        self.terminal.dataReceived(text.encode() if isinstance(text, str) else text)
        return self.screen.decode()

    def _interpreter(self, console: Console) -> Interpreter:
        return Interpreter({"work": self.work}, console)

    def _show(self, data: bytes) -> None:
        self.screen += data

    def _leave(self) -> None:
        self.has_left = True


@pytest.fixture
def person() -> Person:
    return Person()


def test_it_greets_and_prompts_and_does_not_clear_the_screen(person: Person) -> None:
    assert person.screen.decode() == f"{GREETING}\r\n>>> "


def test_a_line_is_echoed_and_run(person: Person) -> None:
    assert person.type("1+1\r") == "1+1\r\n2\r\n>>> "


def test_a_block_has_its_own_prompt(person: Person) -> None:
    assert person.type("if 1:\r").endswith("\r\n... ")
    assert person.type("  7\r").endswith("\r\n... ")
    assert person.type("\r") == "\r\n7\r\n>>> "


def test_output_without_a_line_end_gets_one(person: Person) -> None:
    assert person.type("print(1, end='')\r").endswith("\r\n1\r\n>>> ")


def test_what_is_typed_into_a_line_moves_the_rest(person: Person) -> None:
    person.type("13\x1b[D")
    assert person.type("2") == "23\x1b[1D"
    assert person.type("\r") == "\r\n123\r\n>>> "


def test_typing_over_replaces(person: Person) -> None:
    person.type("193\x1b[D\x1b[D")
    assert person.type("\x1b[2~2") == "2"
    person.type("\x1b[2~")
    assert person.type("\r") == "\r\n123\r\n>>> "


def test_characters_of_several_bytes_are_typed_whole(person: Person) -> None:
    assert person.type("'ü€😀'\r").endswith("\r\n'ü€😀'\r\n>>> ")


def test_bytes_that_are_no_text_and_unknown_keys_are_ignored(person: Person) -> None:
    assert person.type(b"\xff\xc3(") == "("
    assert person.type(b"\x1b[15~\x1b[99~\x00") == ""


def test_what_cannot_be_encoded_is_shown_escaped(person: Person) -> None:
    assert "\\udcff" in person.type("print('\\udcff')\r")


@pytest.mark.parametrize("end", ["\x04", "exit()\r", "quit()\r", "import sys; sys.exit()\r"])
def test_the_session_ends_and_the_terminal_is_not_reset(person: Person, end: str) -> None:
    shown = person.type(end)
    assert person.has_left
    assert shown.endswith("\r\n")
    assert "\x1b" not in shown


def test_ctrl_d_in_a_line_does_not_end_the_session(person: Person) -> None:
    person.type("x")
    assert person.type("\x04") == "\a"
    assert not person.has_left


def test_ctrl_c_drops_the_line_and_the_block(person: Person) -> None:
    person.type("if 1:\r")
    assert person.type("\x03").endswith("KeyboardInterrupt\r\n>>> ")
    assert person.type("2\r").endswith("\r\n2\r\n>>> ")


def test_nothing_is_run_after_the_end(person: Person) -> None:
    assert "7" not in person.type("exit()\r3+4\r")
    person.terminal.loseConnection()
    person.terminal.write("late")
    assert b"late" not in person.screen


def test_a_result_that_comes_later_stands_above_the_line_being_typed(person: Person) -> None:
    person.type("work\r")
    person.type("abc\x1b[D")
    person.screen = b""
    person.work.callback("done")
    expected = "\r\x1b[KDeferred #0 fired: 'done'\r\n>>> abc\x1b[1D"
    assert person.screen.decode() == expected


def test_a_new_size_does_not_disturb_what_is_shown(person: Person) -> None:
    person.screen = b""
    person.terminal.resize(132, 50)
    assert (person.shell.width, person.shell.height) == (132, 50)
    assert person.screen == b""


def test_a_person_who_is_gone_is_told_nothing(person: Person) -> None:
    person.type("work\r")
    person.terminal.hung_up()
    person.screen = b""
    person.work.callback("done")
    person.terminal.resize(10, 10)
    person.terminal.hung_up()
    assert person.screen == b""
