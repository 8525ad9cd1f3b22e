"""The Python interpreter of a session: its output, its input and its end."""

from __future__ import annotations

import builtins
import sys

import pytest
from twisted.internet.defer import Deferred

from sockd.admin.prompt.console import Console
from sockd.admin.prompt.interpreter import Interpreter


class Person:
    """Somebody at an interpreter."""

    def __init__(self) -> None:
        self.said = ""
        self.complaints = ""
        self.console = Console(self._say, self._complain)
        self.interpreter = Interpreter({"daemon": "the daemon"}, self.console)
        self.run = self.interpreter.run
        self.enter = self.interpreter.enter

    def _say(self, text: str) -> None:
        self.said += text

    def _complain(self, text: str) -> None:
        self.complaints += text


@pytest.fixture
def person() -> Person:
    return Person()


def test_values_are_shown_and_remembered(person: Person) -> None:
    assert person.run("daemon; None\n_ + '!'")
    assert person.said == "'the daemon'\n'the daemon!'\n"


def test_output_goes_where_it_belongs(person: Person) -> None:
    assert person.run("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert (person.said, person.complaints) == ("out\n", "err\n")
    assert not person.console.failed


def test_the_standard_streams_are_given_back(person: Person) -> None:
    before = sys.stdin, sys.stdout, sys.stderr, sys.displayhook
    person.run("import sys; sys.stdout = None; 1/0")
    assert (sys.stdin, sys.stdout, sys.stderr, sys.displayhook) == before


def test_the_input_is_at_its_end(person: Person) -> None:
    assert not person.run("input()")
    assert "EOFError" in person.complaints


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_exit_is_the_end_of_the_session(person: Person, word: str) -> None:
    with pytest.raises(SystemExit):
        person.enter(f"{word}()")
    person.run(word)
    assert "the daemon keeps running" in person.said


def test_pythons_own_exit_does_not_close_the_daemons_input(person: Person) -> None:
    exit_function = getattr(builtins, "exit", None)
    if exit_function is None:
        pytest.skip("Python runs without site")
    with pytest.raises(SystemExit):
        person.run("import builtins; builtins.exit()")
    assert not sys.stdin.closed


def test_system_exit_keeps_its_code(person: Person) -> None:
    with pytest.raises(SystemExit) as caught:
        person.run("import sys; sys.exit(3)")
    assert caught.value.code == 3


def test_a_failure_is_a_traceback_of_what_was_typed(person: Person) -> None:
    assert not person.run("def f():\n    1/0\nf()\nprint('never')")
    lines = person.complaints.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "<shell>", line 3, in <module>'
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "interpreter.py" not in person.complaints
    assert person.console.failed
    assert person.said == ""


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "GeneratorExit", "RuntimeError"])
def test_nothing_that_is_raised_gets_out(person: Person, error: str) -> None:
    assert not person.run(f"raise {error}")
    assert error in person.complaints


@pytest.mark.parametrize("source", ["1 +* 2", "x = '", "\0", "return", "(" * 400])
def test_what_does_not_compile_is_said(person: Person, source: str) -> None:
    assert not person.run(source)
    assert person.complaints


def test_a_prompt_waits_for_the_rest_of_a_statement(person: Person) -> None:
    assert person.enter("for i in range(2):")
    assert person.enter("for i in range(2):\n  i")
    assert not person.enter("for i in range(2):\n  i\n")
    assert person.said == "0\n1\n"
    assert not person.enter("1 +* 2")
    assert "SyntaxError" in person.complaints
    assert "codeop" not in person.complaints


@pytest.mark.parametrize(
    "text", ["def f():\n" + "  x = 1\n" * 5000, "x = [\n" + "1234, 5678,\n" * 5000 + "]\n"]
)
def test_a_long_statement_is_complete_with_an_empty_line(person: Person, text: str) -> None:
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        if not person.enter("\n".join(lines)):
            break
    else:
        assert not person.enter("\n".join([*lines, ""]))
    assert person.enter("for i in (1,):")
    assert not person.enter("1 +* 2")
    assert person.complaints.count("SyntaxError") == 1


def test_a_deferred_is_shown_by_number_and_then_by_result(person: Person) -> None:
    first: Deferred[str] = Deferred()
    second: Deferred[str] = Deferred()
    person.interpreter = Interpreter({"a": first, "b": second}, person.console)
    person.interpreter.run("a\nb")
    assert person.said == "<Deferred #0>\n<Deferred #1>\n"
    ended: list[None] = []
    person.console.idle().addCallback(ended.append)
    first.callback("done")
    assert person.said.endswith("Deferred #0 fired: 'done'\n")
    assert not ended
    second.errback(RuntimeError("no"))
    assert person.complaints == "Deferred #1 failed: no\n"
    assert ended == [None]
    second.addErrback(lambda _: None)
    person.interpreter.run("a")
    assert "<Deferred at" in person.said
