"""A viewer reads, and can do nothing else, whatever is typed."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed

from sockd.admin.commands.viewer import Call, ViewerShell, parse_call
from sockd.admin.prompt.console import Console
from sockd.admin.prompt.runner import AuditedRunner
from sockd.admin.prompt.screen import Screen
from sockd.admin.prompt.terminal import Shell, Terminal
from sockd.testing import FakeDaemon
from tests.support_admin import READING

NAMES = (*READING, "commands", "exit", "quit")
FORBIDDEN = ("disconnect", "stop", "start", "reload", "daemon", "print", "eval", "exec", "help")
PYTHON = (
    *("daemon", "daemon.stop('echo')", "().__class__", "''.__class__.__mro__", "[].append"),
    *("__import__('os')", "services.__globals__", "services.__self__", "capture.start()"),
    *("f'{daemon}'", "services(); stop('echo')", "services()\nstop('echo')", "lambda: 0"),
    *("services(daemon)", "connections(service=open('/etc/passwd'))", "x = 1", "import os"),
    *("connections('echo' 'echo')", "connections(*['echo'])", "connection(0x1)", "connection(1_0)"),
    *(
        "\u017fervices()",
        "\uff53ervices()",
        "\uff53\uff54\uff4f\uff50('echo')",
        "stop('echo')",
        "disconnect(1)",
        "start('x')",
    ),
    *("services()#", "services() or 1", "(services)()", "services()()", "services[0]", "\x00"),
    *("connection(1.5)", "connection(True)", "connection(-1)", "connections(b'echo')"),
    *("connections('\\x65')", "connections('''echo''')", "services(\t)", "@services", "!ls", ";"),
    *(
        "connection(¹)",
        "connection(\u0661)",
        "services(\u2028)",
        "exit\u200b()",
        "('" * 200,
        "(" * 5000,
    ),
)


class Trap(FakeDaemon):
    """A daemon that records all changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def disconnect(self, connection: int) -> bool:
        """Record the call."""
        self.changes.append("disconnect")
        return False

    def stop(self, name: str) -> Deferred[None]:
        """Record the call."""
        self.changes.append("stop")
        return succeed(None)

    def start(self, name: str) -> None:
        """Record the call."""
        self.changes.append("start")


class Room:
    """A viewer at a console of a daemon with one service and one connection."""

    def __init__(self) -> None:
        self.daemon = Trap()
        self.said = ""
        self.complaints = ""
        self.daemon.add("echo").open()
        screen = Screen(self.daemon.clock, self._say, lambda: False)
        console = Console(self._say, self._complain, screen)
        self.shell = ViewerShell(self.daemon, console, self.daemon.clock.seconds)

    def type(self, line: str) -> bool:
        """Return whether a line was understood."""
        self.said = self.complaints = ""
        return self.shell.run(line)

    def _say(self, text: str) -> None:
        self.said += text

    def _complain(self, text: str) -> None:
        self.complaints += text


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.mark.parametrize("name", sorted({*NAMES} - {"connection", "exit", "quit"}))
def test_each_command_runs(room: Room, name: str) -> None:
    assert room.type(f"{name}()")
    assert room.said or name in {"capture", "watch", "top"}
    with_parentheses = room.said
    assert room.type(f"  {name} ")
    assert room.said == with_parentheses


def test_commands_lists_what_there_is_and_no_more(room: Room) -> None:
    room.type("commands()")
    assert [line.split("(")[0] for line in room.said.splitlines()] == list(NAMES)


def test_arguments_are_names_and_numbers(room: Room) -> None:
    for line in (
        "connections('echo')",
        'connections( service = "echo" , limit=5 )',
        "connection(1)",
    ):
        assert room.type(line)
        assert "127.0.0.1:50001" in room.said
    assert parse_call("connections('a-b.c', limit=20)") == Call(
        "connections", (("", "a-b.c"), ("limit", 20))
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("servces()", "no command 'servces' for viewers (did you mean services?)"),
        ("connection()", "connection() needs an argument (it takes number)"),
        ("connection('echo')", "'echo' is not a valid argument of connection() (it takes number)"),
        ("connection(1, 2)", "'2' is not a valid argument of connection() (it takes number)"),
        (
            "connection(1, number=2)",
            "'2' is not a valid argument of connection() (it takes number)",
        ),
        ("services(1)", "'1' is not a valid argument of services() (it takes nothing)"),
        ("ports(limit=1001)", "limit=1001 is too large (1000 at most)"),
        ("connections('nix')", "no service 'nix' (known: echo)"),
        ("connections(echo)", "'echo' is neither a number nor a name in quotation marks"),
    ],
)
def test_what_does_not_fit_is_one_helpful_line(room: Room, line: str, complaint: str) -> None:
    room.type(line)
    assert room.complaints.startswith(complaint)
    assert room.complaints.count("\n") == 1
    assert room.said == ""


def test_an_empty_line_is_nothing(room: Room) -> None:
    assert room.type("")
    assert room.type("   \r\n")
    assert (room.said, room.complaints) == ("", "")


@pytest.mark.parametrize("line", ["exit", "exit()", "quit()"])
def test_the_session_can_be_left(room: Room, line: str) -> None:
    with pytest.raises(SystemExit):
        room.type(line)


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("end", ["", "()", "('echo')", "(1)"])
def test_the_commands_of_an_admin_do_not_exist(room: Room, name: str, end: str) -> None:
    assert not room.type(name + end)
    assert room.complaints.startswith(f"no command '{name}' for viewers")
    assert room.daemon.changes == []


@pytest.mark.parametrize("line", PYTHON)
def test_python_is_not_understood(room: Room, line: str) -> None:
    assert not room.type(line)
    assert room.said == ""
    assert room.daemon.changes == []


def test_a_long_line_is_not_even_matched(room: Room) -> None:
    assert not room.type("services()" + " " * 10_000)


words = st.sampled_from(
    [
        *NAMES,
        *FORBIDDEN,
        *PYTHON,
        *("(", ")", ",", "=", "'", '"', "'echo'", "1", "limit=", ".", "__class__", " ", "\n", "\\"),
    ]
)
lines = st.one_of(
    st.text(max_size=400),
    st.lists(words, max_size=8).map("".join),
    st.binary(max_size=400).map(lambda data: data.decode("utf-8", "replace")),
    st.tuples(st.sampled_from(NAMES), st.text(max_size=40)).map(
        lambda pair: f"{pair[0]}({pair[1]})"
    ),
)


class Watchman:
    """Hears from the interpreter what is compiled, run, imported or opened (PEP 578)."""

    def __init__(self) -> None:
        self.is_awake = False
        self.seen: list[str] = []

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Record an event. Audit hooks cannot be removed, so this one is usually disabled."""
        if self.is_awake and event.partition(".")[0] in WATCHED:
            self.seen.append(event)


WATCHED = {"compile", "exec", "import", "open", "os", "subprocess", "socket", "ctypes", "code"}


@pytest.fixture(scope="module")
def watchman() -> Watchman:
    watchman = Watchman()
    sys.addaudithook(watchman.hear)
    return watchman


def test_the_watchman_sees_what_must_not_happen(watchman: Watchman) -> None:
    watchman.is_awake = True
    eval("1")
    watchman.is_awake = False
    assert watchman.seen == ["compile", "exec"]


@settings(max_examples=300, deadline=None)
@given(line=lines)
def test_whatever_is_typed_only_the_table_is_reached(line: str, watchman: Watchman) -> None:
    """No Python is compiled or run, nothing is imported, nothing changes, and nothing is raised."""
    room = Room()
    watchman.seen.clear()
    watchman.is_awake = True
    try:
        is_understood = room.shell.run(line)
    except SystemExit:
        is_understood = True
    finally:
        watchman.is_awake = False
    assert watchman.seen == []
    assert room.daemon.changes == []
    assert room.daemon.services["echo"].record.active == 1
    call = parse_call(line) if is_understood else None
    assert call is None or call.name in NAMES
    assert all(char.isprintable() or char == "\n" for char in room.said + room.complaints)


class Desk:
    """A viewer at a terminal whose every byte is chosen by somebody else."""

    def __init__(self) -> None:
        self.daemon = Trap()
        self.daemon.add("echo").open()
        self.commands: list[str] = []
        self.shell = Shell(self._runner, "hello", self.daemon.clock, lambda: False)
        self.terminal = Terminal(self.shell, lambda _: None, lambda: None)

    def _runner(self, console: Console) -> AuditedRunner:
        shell = ViewerShell(self.daemon, console, self.daemon.clock.seconds)
        return AuditedRunner(shell, self.commands.append, lambda: False)


def test_nothing_runs_any_more_in_a_session_that_is_being_ended() -> None:
    desk = Desk()
    said: list[str] = []
    console = Console(said.append, said.append)
    shell = ViewerShell(desk.daemon, console, desk.daemon.clock.seconds)
    runner = AuditedRunner(shell, desk.commands.append, lambda: True)
    for run in (runner.run, runner.enter):
        with pytest.raises(SystemExit):
            run("services()")
    assert (said, desk.commands) == ([], [])


keys = st.sampled_from(
    [
        *(
            b"\x1b[A",
            b"\x1b[B",
            b"\x1b[C",
            b"\x1b[D",
            b"\x1b[2~",
            b"\x1b[3~",
            b"\x1b[1;5C",
            b"\x1bOP",
        ),
        *(
            b"\x1b[",
            b"\x1bO",
            b"\x1b",
            b"\r",
            b"\n",
            b"\t",
            b"\x7f",
            b"\x01",
            b"\x03",
            b"\x05",
            b"\x0c",
        ),
        *(name.encode() + b"()\r" for name in (*NAMES, *FORBIDDEN)),
        *(line.encode() + b"\r" for line in PYTHON),
    ]
)


@settings(max_examples=200, deadline=None)
@given(chunks=st.lists(st.one_of(keys, st.binary(max_size=20)), max_size=30))
def test_whatever_keys_are_pressed_nothing_else_is_reached(
    chunks: list[bytes], watchman: Watchman
) -> None:
    desk = Desk()
    watchman.seen.clear()
    watchman.is_awake = True
    try:
        for chunk in chunks:
            desk.terminal.dataReceived(chunk)
            desk.daemon.clock.advance(0.3)
        desk.terminal.hung_up()
    finally:
        watchman.is_awake = False
    assert watchman.seen == []
    assert desk.daemon.changes == []
    assert desk.daemon.ledger._observers == ()
    assert desk.daemon.clock.getDelayedCalls() == []
