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
from twisted.python.failure import Failure

from sockd.admin.console import Console
from sockd.admin.interpreter import Interpreter

InterpreterMaker = Callable[[Console], Interpreter]

_UTF8 = codecs.getincrementaldecoder("utf-8")


class Shell(Manhole):
    """Reads lines with history and editing, and runs them.

    :param greeting: the first line that a person sees.
    """

    interpreter: _Lines  # type: ignore[assignment]

    def __init__(self, make_interpreter: InterpreterMaker, greeting: str) -> None:
        super().__init__()
        self._make_interpreter = make_interpreter
        self._greeting = greeting
        self._is_running = False
        self._characters = _UTF8("ignore")

    def connectionMade(self) -> None:
        """Greet, and prompt for the first line."""
        super().connectionMade()
        console = Console(self.addOutput, self.addOutput)
        self.interpreter = _Lines(self._make_interpreter(console))

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
        if self._needsNewline():
            self.terminal.nextLine()
        self.drawInputLine()

    def addOutput(self, data: str, isAsync: object = None) -> None:
        """Write output: between two prompts, or above the line that is being typed."""
        if self._is_running:
            self.terminal.write(data.encode("utf-8", "backslashreplace"))
            return
        self.terminal.write(b"\r")
        self.terminal.eraseToLineEnd()
        self.terminal.write(data.encode("utf-8", "backslashreplace"))
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
        self._has_left = False
        self._leave = leave
        self.makeConnection(_Wire(write))

    def dataReceived(self, data: bytes) -> None:
        """Hand over keys, until the shell has left."""
        for number in data:
            if self._has_left:
                return
            super().dataReceived(bytes([number]))

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
            self._has_left = True
            self._leave()

    def hung_up(self) -> None:
        """Take note that the person is gone."""
        self._has_left = True
        self.connectionLost(Failure(ConnectionDone()))


class _Wire:
    """The transport of a terminal."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


class _Lines:
    """Gathers lines until they make a statement, the way Manhole asks for it."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._lines: list[str] = []

    def push(self, line: str) -> bool:
        """Add a line; return whether more are needed."""
        self._lines.append(line)
        try:
            is_partial = self._interpreter.enter("\n".join(self._lines))
        except SystemExit:
            self.resetBuffer()
            raise
        if not is_partial:
            self.resetBuffer()
        return is_partial

    def resetBuffer(self) -> None:
        """Forget the lines that wait."""
        self._lines = []
