"""A statement that runs too long is interrupted, wherever it runs; the daemon's own code is not."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from sockd.admin.prompt.console import Console
from sockd.admin.prompt.interpreter import LONGEST_OUTPUT, Interpreter
from sockd.admin.prompt.interruption import Interrupter

LIMIT = 0.1
DAEMON_CODE = """
import signal, time
def command(duration):
    end = time.monotonic() + duration
    while time.monotonic() < end:
        pass
    done.append(duration)
def call(function):
    return function()
def signalled(number):
    signal.raise_signal(number)
"""
SLEEP = "import time\n"
SLEEPING = SLEEP + "try:\n  time.sleep(1000)\n"


class Session:
    """An interpreter with a limit, and some functions that belong to sockd."""

    def __init__(self, interrupter: Interrupter, **names: object) -> None:
        self.said = ""
        self.complaints = ""
        self.told: list[str] = []
        self.console = Console(self._say, self._complain)
        self.done: list[float] = []
        code: dict[str, object] = {"__name__": "sockd.part", "done": self.done}
        exec(compile(DAEMON_CODE, "<part>", "exec"), code)  # noqa: S102 - as if it were imported
        names |= {name: code[name] for name in ("command", "call", "signalled")}
        self._interpreter = Interpreter(names, self.console, interrupter, self.told.append)
        self.run = self._interpreter.run

    def _say(self, text: str) -> None:
        self.said += text

    def _complain(self, text: str) -> None:
        self.complaints += text


@pytest.fixture
def session() -> Session:
    return Session(Interrupter(LIMIT))


@pytest.fixture
def asked_to_end() -> Iterator[list[int]]:
    """Handle SIGINT and SIGTERM as the daemon does, and return those that came."""
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = [signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)]
    yield came
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGTERM, before[1])


ENDLESS = {
    "a loop": "while True: pass",
    "a system call": SLEEP + "time.sleep(1000)",
    "a lock": "import threading\nthreading.Semaphore(0).acquire()",
    "a regular expression": "import re\nre.match('(a+)+b', 'a' * 64)",
    "an integer": "7 ** 10 ** 9",
    "an iterator": "any(None for _ in iter(int, 1))",
    "except Exception": SLEEP + "while True:\n  try: time.sleep(1000)\n  except Exception: pass",
    "except OSError": SLEEP + "while True:\n  try: time.sleep(1000)\n  except OSError: pass",
    "except": SLEEP + "while True:\n  try: time.sleep(1000)\n  except: pass",
    "except in except": SLEEP
    + "while True:\n  try:\n    while True:\n      try: time.sleep(1000)\n      except: pass\n"
    "  except: pass",
    "suppress": "import contextlib\n"
    + SLEEP
    + "while True:\n  with contextlib.suppress(BaseException): time.sleep(1000)",
    "finally": SLEEP + "while True:\n  try: time.sleep(1000)\n  finally: continue",
    "a loop in except": "try:\n  while True: pass\nexcept:\n  while True: pass",
    "a loop in finally": "try:\n  while True: pass\nfinally:\n  while True: pass",
    "__repr__": "class A:\n  def __repr__(self):\n    while True: pass\nA()",
    "__del__": "class A:\n  def __del__(self):\n    while True: pass\nA()\n_ = None",
    "a call from the daemon": "def f():\n  while True: pass\ncall(f)",
    "commands": "while True: command(0)",
    "commands called in C": "import itertools\nany(map(command, itertools.repeat(0)))",
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_statement_that_runs_too_long_is_interrupted(session: Session, source: str) -> None:
    assert not session.run(source)
    assert session.complaints.rstrip().endswith(
        "TimeoutError: the statement took longer than 0.1s, the statement_timeout"
    )
    assert session.console.failed
    assert session.told
    assert session.told[0].startswith("TimeoutError: ")


def test_the_traceback_shows_what_ran_and_not_what_interrupted_it(session: Session) -> None:
    session.run("def f():\n  while True: pass\nf()")
    lines = session.complaints.splitlines()
    assert lines[:3] == [
        "Traceback (most recent call last):",
        '  File "<shell>", line 3, in <module>',
        '  File "<shell>", line 2, in f',
    ]
    assert len(lines) == 4


def test_a_statement_that_ends_in_time_is_not_interrupted(session: Session) -> None:
    assert session.run("1 + 1")
    time.sleep(LIMIT * 2)
    assert (session.said, session.complaints, session.told) == ("2\n", "", [])


def test_the_limit_is_for_each_statement(session: Session) -> None:
    assert session.run(SLEEP + f"time.sleep({LIMIT * 0.6})\ntime.sleep({LIMIT * 0.6})")


def test_a_statement_may_clean_up(session: Session) -> None:
    assert not session.run(SLEEPING + "finally:\n  time.sleep(0.3); print('clean')")
    assert session.said == "clean\n"
    assert "TimeoutError" in session.complaints


def test_a_statement_that_swallows_the_interruption_and_ends_is_told_all_the_same(
    session: Session,
) -> None:
    assert not session.run(SLEEPING + "except BaseException: pass")
    assert "TimeoutError" in session.complaints
    assert session.told


def test_what_a_statement_raises_in_place_of_the_interruption_is_shown(session: Session) -> None:
    assert not session.run(SLEEPING + "finally: 1 / 0")
    assert "ZeroDivisionError" in session.complaints
    assert "TimeoutError" in session.complaints


def test_a_command_of_the_daemon_is_not_interrupted(session: Session) -> None:
    assert session.run(f"command({LIMIT * 3})")
    assert (session.done, session.told) == ([LIMIT * 3], [])


def test_a_statement_is_interrupted_once_a_command_that_took_too_long_returns(
    session: Session,
) -> None:
    assert not session.run(f"if command({LIMIT * 3}) is None:\n  print('never')")
    assert (session.done, session.said) == ([LIMIT * 3], "")
    assert "TimeoutError" in session.complaints


def test_an_error_whose_text_takes_too_long_is_not_shown(session: Session) -> None:
    assert not session.run(
        "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E"
    )
    assert "the error cannot be displayed" in session.complaints


def test_an_exit_status_whose_text_takes_too_long_is_1(session: Session) -> None:
    with pytest.raises(SystemExit) as caught:
        session.run("class A:\n  def __str__(self):\n    while True: pass\nexit(A())")
    assert caught.value.code == 1


def test_a_value_that_comes_later_and_takes_too_long_to_show_is_not_shown(session: Session) -> None:
    session.run(
        "from twisted.internet.defer import Deferred\n"
        "class A:\n  def __repr__(self):\n    while True: pass\n"
        "d = Deferred()\nd"
    )
    session.run("d.callback(A())")
    assert "cannot be displayed" in session.said + session.complaints


def test_everything_is_as_it_was_before(session: Session) -> None:
    numbers = (signal.SIGALRM, signal.SIGINT, signal.SIGTERM)
    before = [*map(signal.getsignal, numbers)], sys.gettrace(), signal.getitimer(signal.ITIMER_REAL)
    session.run("while True:\n  try: command(0)\n  except: pass")
    left = signal.getitimer(signal.ITIMER_REAL)
    assert ([*map(signal.getsignal, numbers)], sys.gettrace()) == before[:2]
    assert (left[0] > 0, left[1]) == (before[2][0] > 0, before[2][1])


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_two_interruptions_that_are_swallowed_at_once_are_raised_again(session: Session) -> None:
    inner = "  try: time.sleep(1000)\n  except: time.sleep(1000)\n"
    assert not session.run(SLEEP + f"try:\n{inner}except:\n  pass\n")
    assert session.complaints.count("TimeoutError") == 1


@pytest.mark.parametrize(
    "source",
    ["for i in range(1000): pass", "try:\n  for i in range(1000): pass\nexcept: pass"],
    ids=["plain", "swallowing"],
)
def test_nothing_escapes_however_late_the_limit_comes(source: str) -> None:
    """The limit passes at every point of a short statement, and around its end."""
    late = 0
    for microseconds in range(1, 400, 2):
        session = Session(Interrupter(microseconds / 1e6))
        is_ok = session.run(source)
        late += not is_ok
        assert is_ok == (session.complaints == "")
        for _ in range(1000):
            pass
    assert late > 0


def test_a_statement_within_a_statement_has_no_limit_of_its_own() -> None:
    """As when a statement has the reactor turn, and another session's input comes."""
    interrupter = Interrupter(LIMIT)
    inner = Session(interrupter)
    outer = Session(interrupter, inner=inner.run)
    assert not outer.run("inner('1 + 1'); inner('while True: pass'); print('never')")
    assert inner.said == "2\n"
    assert "TimeoutError" in inner.complaints
    assert "TimeoutError" in outer.complaints


def test_without_a_limit_a_statement_takes_as_long_as_it_likes() -> None:
    session = Session(Interrupter(0.0))
    assert session.run(SLEEP + f"time.sleep({LIMIT * 3})")


def test_where_there_is_no_timer_there_is_no_limit() -> None:
    session = Session(Interrupter(LIMIT, timer=None))
    assert session.run(SLEEP + f"time.sleep({LIMIT * 3})")


def test_in_another_thread_there_is_no_limit(session: Session) -> None:
    done: list[bool] = []
    source = SLEEP + f"time.sleep({LIMIT * 3})"
    thread = threading.Thread(target=lambda: done.append(session.run(source)))
    thread.start()
    thread.join()
    assert done == [True]


def raising(number: signal.Signals) -> str:
    return f"import signal\nsignal.raise_signal({int(number)}), print('never')"


def test_sigint_interrupts_a_statement_and_does_not_end_the_daemon(
    asked_to_end: list[int],
) -> None:
    session = Session(Interrupter(0.0))
    assert not session.run(raising(signal.SIGINT))
    assert session.complaints.endswith("KeyboardInterrupt: SIGINT\n")
    assert (asked_to_end, session.told) == ([], ["KeyboardInterrupt: SIGINT"])
    assert session.said == ""


def test_the_second_sigint_ends_the_daemon_too(asked_to_end: list[int]) -> None:
    session = Session(Interrupter(0.0))
    signals = "try: signal.raise_signal(signal.SIGINT)\nfinally: signal.raise_signal(signal.SIGINT)"
    assert not session.run(f"import signal\n{signals}")
    assert asked_to_end == [signal.SIGINT]


def test_sigterm_ends_the_daemon_and_the_statement(asked_to_end: list[int]) -> None:
    session = Session(Interrupter(0.0))
    assert not session.run(raising(signal.SIGTERM))
    assert "KeyboardInterrupt: SIGTERM" in session.complaints
    assert asked_to_end == [signal.SIGTERM]


def test_sigint_that_finds_nothing_to_interrupt_ends_the_daemon(asked_to_end: list[int]) -> None:
    session = Session(Interrupter(0.0))
    assert session.run(f"signalled({int(signal.SIGINT)})")
    assert asked_to_end == [signal.SIGINT]


def test_a_statement_prints_so_much_and_not_more(session: Session) -> None:
    assert session.run(f"print('x' * {LONGEST_OUTPUT + 1000})\nprint('y')")
    assert len(session.said) == LONGEST_OUTPUT + len("y\n")
    assert session.complaints == f"\noutput truncated after {LONGEST_OUTPUT} characters\n"
    assert session.console.failed
