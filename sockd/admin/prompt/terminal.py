"""The interactive shell: a Manhole with a prompt, on whatever terminal it is given.

It leaves the terminal as it found it. Twisted's Manhole resets the screen when it begins and when
it ends, switches on the insert mode of the terminal, and clears everything whenever the window
changes its size.
"""
# mypy: allow-untyped-calls
# Manhole and what it is made of have no types.

from __future__ import annotations

import codecs
from collections.abc import Callable

from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.manhole import Manhole
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from sockd.admin.prompt.console import Console
from sockd.admin.prompt.runner import Runner, RunnerMaker
from sockd.admin.prompt.screen import LEAVE, Screen

_LONGEST_LINE = 4096
"""How many bytes can be typed into a line: each key shows again what is right of it."""

_LONGEST_HISTORY = 200
"""In lines."""

_LONGEST_SEQUENCE = 32
"""How many bytes a key of several can have."""

_MOST_HELD = 64 * 1024
"""How much output waits for the end of a live view, in characters."""

_UTF8 = codecs.getincrementaldecoder("utf-8")


class Shell(Manhole):
    """Reads lines with history and editing, and runs them.

    :param greeting: the first line that a person sees.
    :param is_congested: whether the person's terminal does not keep up.
    :ivar screen: where live views are shown.
    """

    interpreter: _Lines  # type: ignore[assignment]

    def __init__(
        self,
        make_runner: RunnerMaker,
        greeting: str,
        clock: IReactorTime,
        is_congested: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._make_runner = make_runner
        self._greeting = greeting
        self.screen = Screen(clock, self._write, is_congested)
        self.screen.resize(self.width, self.height)
        self._held = ""
        self._is_running = False
        self._characters = _UTF8("ignore")

    def connectionMade(self) -> None:
        """Greet, and prompt for the first line."""
        super().connectionMade()
        console = Console(self.addOutput, self.addOutput, self.screen)
        self.interpreter = _Lines(self._make_runner(console))

    def initializeScreen(self) -> None:
        """Begin below what the screen shows already."""
        self.setInsertMode()
        self.terminal.write(self._greeting)
        self.terminal.nextLine()
        self.drawInputLine()

    def setInsertMode(self) -> None:
        """Insert what is typed, without the terminal's own insert mode."""
        self.mode = "insert"

    def setTypeoverMode(self) -> None:
        """Overwrite with what is typed."""
        self.mode = "typeover"

    def terminalSize(self, width: int, height: int) -> None:
        """Take note of the size; the terminal itself moves its lines."""
        self.width = width
        self.height = height
        self.screen.resize(width, height)

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        """Handle a key; a character of several bytes comes as several keys."""
        if len(keyID) == 1 and keyID[0] >= 0x80:
            character = self._characters.decode(keyID)
            if character.isprintable() and character:
                self.characterReceived(character.encode(), False)
        elif keyID in self.keyHandlers or keyID in self._printableChars:
            super().keystrokeReceived(keyID, modifier)

    def characterReceived(self, ch: bytes, moreCharactersComing: bool) -> None:
        """Put a character into the line, and show it with what is right of it."""
        if len(self.lineBuffer) >= _LONGEST_LINE:
            self.terminal.write(b"\a")
            return
        is_inserted = self.mode == "insert"
        super().characterReceived(ch, moreCharactersComing)
        rest = self.lineBuffer[self.lineBufferIndex :]
        if is_inserted and rest:
            self.terminal.write(b"".join(rest))
            self.terminal.cursorBackward(len(rest))

    def lineReceived(self, line: bytes) -> None:
        """Run a line, and prompt for the next."""
        self._is_running = True
        try:
            self.pn = int(self.interpreter.push(line.decode("utf-8", "replace")))
        except SystemExit:
            self.handle_QUIT()
            return
        finally:
            self._is_running = False
        del self.historyLines[:-_LONGEST_HISTORY]
        self.historyPosition = len(self.historyLines)
        self.screen.ended().addCallback(lambda _: self._prompt())

    def addOutput(self, data: str, isAsync: object = None) -> None:
        """Write output: between two prompts, or above the line that is being typed."""
        if self._is_running:
            self._write(data)
            return
        if self.screen.is_taken:
            self._held = (self._held + data)[-_MOST_HELD:]
            return
        self.terminal.write(b"\r")
        self.terminal.eraseToLineEnd()
        self._write(data)
        if self._needsNewline():
            self.terminal.nextLine()
        self.drawInputLine()
        right_of_cursor = len(self.lineBuffer) - self.lineBufferIndex
        if right_of_cursor:
            self.terminal.cursorBackward(right_of_cursor)

    def handle_QUIT(self) -> None:
        """End the session; the shell of the person goes on in a line of its own."""
        if self._needsNewline():
            self.terminal.nextLine()
        self.terminal.loseConnection()

    def _needsNewline(self) -> bool:
        """Return whether the cursor is behind text; a live view puts it back where it was."""
        is_back = self.terminal.lastWrite.endswith(LEAVE.encode())
        return not is_back and bool(super()._needsNewline())

    def _prompt(self) -> None:
        """Prompt for the next line, below what has been held back."""
        held, self._held = self._held, ""
        self._write(held)
        if self._needsNewline():
            self.terminal.nextLine()
        self.drawInputLine()

    def _write(self, text: str) -> None:
        self.terminal.write(text.encode("utf-8", "backslashreplace"))


class Terminal(ServerProtocol):
    """Between the bytes of a connection and the keys and lines of a shell.

    :param shell: what the person talks to.
    :param write: sends bytes to the person.
    :param leave: ends the session.
    """

    def __init__(
        self, shell: Shell, write: Callable[[bytes], None], leave: Callable[[], None]
    ) -> None:
        super().__init__(lambda: shell)
        self._screen = shell.screen
        self._has_left = False
        self._leave = leave
        self.makeConnection(_Wire(write))

    def dataReceived(self, data: bytes) -> None:
        """Hand over keys, until the shell has left.

        What comes together with the key that ends a live view is part of that key.
        """
        if self._screen.key():
            return
        for number in data:
            if self._has_left:
                return
            super().dataReceived(bytes([number]))
            if self.state == b"bracket-escaped" and len(self.escBuf) > _LONGEST_SEQUENCE:
                self.state = b"data"

    def resize(self, width: int, height: int) -> None:
        """Tell the shell how large the window is now."""
        if self.terminalProtocol is not None:
            self.terminalProtocol.terminalSize(width, height)

    def write(self, data: bytes | str) -> None:
        """Send output, unless there is nobody any more to read it."""
        if not self._has_left:
            super().write(data)

    def loseConnection(self) -> None:
        """End the session, without a reset of the terminal."""
        if not self._has_left:
            self._screen.close()
            self._has_left = True
            self._leave()

    def hung_up(self) -> None:
        """Take note that the person is gone."""
        self._has_left = True
        self._screen.close()
        self.connectionLost(Failure(ConnectionDone()))


class _Wire:
    """The transport of a terminal."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


class _Lines:
    """Gathers lines until they make a statement, the way Manhole asks for it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lines: list[str] = []

    def push(self, line: str) -> bool:
        """Add a line; return whether more are needed."""
        self._lines.append(line)
        try:
            is_partial = self._runner.enter("\n".join(self._lines))
        except SystemExit:
            self.resetBuffer()
            raise
        if not is_partial:
            self.resetBuffer()
        return is_partial

    def resetBuffer(self) -> None:
        """Forget the lines that wait."""
        self._lines = []
