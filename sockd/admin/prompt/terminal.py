"""The interactive shell: a Manhole with a prompt on a terminal.

It does not change the state of the terminal. Twisted's Manhole resets the screen at the start and
at the end, enables the terminal's insert mode, and clears the screen when the window is resized.
"""
# mypy: allow-untyped-calls
# Manhole and its base classes are not typed.

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

_MAX_LINE = 4096
"""The maximum length of a line, in bytes: each key redraws the text to the right of the cursor."""

_MAX_HISTORY = 200
"""The maximum length of the history, in lines."""

_MAX_SEQUENCE = 32
"""The maximum length of an escape sequence, in bytes."""

_MAX_HELD = 64 * 1024
"""The maximum output that is held back during a live view, in characters."""

_UTF8 = codecs.getincrementaldecoder("utf-8")


class Shell(Manhole):
    """A line editor with history that runs the lines.

    :param greeting: the first line of output.
    :param is_congested: returns whether the client reads too slowly.
    :ivar screen: the screen of live views.
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
        """Show the greeting and the first prompt."""
        super().connectionMade()
        console = Console(self.addOutput, self.addOutput, self.screen)
        self.interpreter = _Lines(self._make_runner(console))

    def initializeScreen(self) -> None:
        """Start below the existing contents of the screen."""
        self.setInsertMode()
        self.terminal.write(self._greeting)
        self.terminal.nextLine()
        self.drawInputLine()

    def setInsertMode(self) -> None:
        """Insert typed characters, without the terminal's own insert mode."""
        self.mode = "insert"

    def setTypeoverMode(self) -> None:
        """Overwrite with typed characters."""
        self.mode = "typeover"

    def terminalSize(self, width: int, height: int) -> None:
        """Set the window size. Lines are not redrawn, as the terminal rewraps them."""
        self.width = width
        self.height = height
        self.screen.resize(width, height)

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        """Handle a key. Each byte of a multibyte character arrives as a key."""
        if len(keyID) == 1 and keyID[0] >= 0x80:
            character = self._characters.decode(keyID)
            if character.isprintable() and character:
                self.characterReceived(character.encode(), False)
        elif keyID in self.keyHandlers or keyID in self._printableChars:
            super().keystrokeReceived(keyID, modifier)

    def characterReceived(self, ch: bytes, moreCharactersComing: bool) -> None:
        """Add a character to the line, and redraw the text to the right of it."""
        if len(self.lineBuffer) >= _MAX_LINE:
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
        del self.historyLines[:-_MAX_HISTORY]
        self.historyPosition = len(self.historyLines)
        self.screen.ended().addCallback(lambda _: self._prompt())

    def addOutput(self, data: str, isAsync: object = None) -> None:
        """Write output: of the running command, or above the line that is being edited."""
        if self._is_running:
            self._write(data)
            return
        if self.screen.is_taken:
            self._held = (self._held + data)[-_MAX_HELD:]
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
        """End the session, with the cursor at the start of a line."""
        if self._needsNewline():
            self.terminal.nextLine()
        self.terminal.loseConnection()

    def _needsNewline(self) -> bool:
        """Return whether the cursor is behind text. A live view restores its position."""
        is_back = self.terminal.lastWrite.endswith(LEAVE.encode())
        return not is_back and bool(super()._needsNewline())

    def _prompt(self) -> None:
        """Show the output that was held back, and the next prompt."""
        held, self._held = self._held, ""
        self._write(held)
        if self._needsNewline():
            self.terminal.nextLine()
        self.drawInputLine()

    def _write(self, text: str) -> None:
        self.terminal.write(text.encode("utf-8", "backslashreplace"))


class Terminal(ServerProtocol):
    """A terminal protocol that converts the bytes of a connection to keys for a shell.

    :param write: sends bytes to the client.
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
        """Pass keys to the shell until the session ends.

        Bytes that arrive together with the key that ends a live view belong to that key.
        """
        if self._screen.key():
            return
        for number in data:
            if self._has_left:
                return
            super().dataReceived(bytes([number]))
            if self.state == b"bracket-escaped" and len(self.escBuf) > _MAX_SEQUENCE:
                self.state = b"data"

    def resize(self, width: int, height: int) -> None:
        """Pass the window size to the shell."""
        if self.terminalProtocol is not None:
            self.terminalProtocol.terminalSize(width, height)

    def write(self, data: bytes | str) -> None:
        """Send output, unless the session has ended."""
        if not self._has_left:
            super().write(data)

    def loseConnection(self) -> None:
        """End the session without resetting the terminal."""
        if not self._has_left:
            self._screen.close()
            self._has_left = True
            self._leave()

    def hung_up(self) -> None:
        """Clean up after the client has disconnected."""
        self._has_left = True
        self._screen.close()
        self.connectionLost(Failure(ConnectionDone()))


class _Wire:
    """The transport of a terminal."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


class _Lines:
    """Collects lines until they are a statement, with the interface that Manhole expects."""

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
        """Discard the collected lines."""
        self._lines = []
