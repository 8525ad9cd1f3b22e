"""SSH sessions: a shell on a terminal, a script from standard input, or one command."""

from __future__ import annotations

from collections.abc import Callable

from twisted.conch.interfaces import ISession
from twisted.conch.ssh.session import SSHSessionProcessProtocol
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.admin.auth.roles import Role
from sockd.admin.connections import AdminConnection
from sockd.admin.prompt.console import Console
from sockd.admin.prompt.input_pacer import MAX_PENDING, InputPacer
from sockd.admin.prompt.runner import RunnerMaker
from sockd.admin.prompt.screen import Screen
from sockd.admin.prompt.script import Lines, Script
from sockd.admin.prompt.terminal import Shell, Terminal
from sockd.reactor import IReactor

_FAILED = 1


@implementer(ISession)
class Session:
    """The session of one channel.

    :param role: a viewer's input is paced, and split into lines instead of statements.
    :param greeting: the first line of an interactive shell.
    :param is_congested: returns whether the client reads too slowly.
    """

    def __init__(
        self,
        reactor: IReactor,
        connection: AdminConnection,
        role: Role,
        make_runner: RunnerMaker,
        greeting: str,
        is_congested: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._is_congested = is_congested
        self._connection = connection
        self._role = role
        self._make_runner = make_runner
        self._greeting = greeting
        self._size: tuple[int, int] | None = None
        self._channel: SSHSessionProcessProtocol | None = None
        self._terminal: Terminal | None = None
        self._script: _Script | None = None
        self._pacer: InputPacer | None = None
        self._screen = Screen(reactor, self._out, self._is_congested)

    def getPty(self, term: bytes, windowSize: tuple[int, ...], modes: object) -> None:
        """Store the size of the client's terminal, in rows, columns and pixels."""
        self._size = windowSize[1], windowSize[0]

    def windowChanged(self, newWindowSize: tuple[int, ...]) -> None:
        """Handle a new size of the client's terminal."""
        if self._terminal is not None:
            self._terminal.resize(newWindowSize[1], newWindowSize[0])
        elif self._size is not None:
            self._screen.resize(newWindowSize[1], newWindowSize[0])

    def openShell(self, proto: SSHSessionProcessProtocol) -> None:
        """Start an interactive shell on a terminal; without one, run a script from the input."""
        self._channel = proto
        if self._size is None:
            job = self._job()
            self._script = _Script(job, Lines() if self._role is Role.VIEWER else Script())
            proto.makeConnection(self._input(self._script.feed))
            return
        shell = Shell(self._make_runner, self._greeting, self._reactor, self._is_congested)
        self._screen = shell.screen
        self._connection.screens.add(self._screen)
        self._terminal = Terminal(shell, proto.outReceived, lambda: self._finish(0))
        self._terminal.resize(*self._size)
        proto.makeConnection(self._input(self._terminal.dataReceived))

    def execCommand(self, proto: SSHSessionProcessProtocol, command: bytes) -> None:
        """Run one command. Its exit status is 0 on success."""
        self._channel = proto
        if self._size is not None:
            self._screen.resize(*self._size)
        self._connection.screens.add(self._screen)
        proto.makeConnection(_Input(lambda _: self._screen.key()))
        # The client must receive the reply to its request before the channel closes.
        self._reactor.callLater(0, self._job().run_all, command.decode("utf-8", "replace"))

    def eofReceived(self) -> None:
        """Handle the end of the client's input."""
        if self._terminal is not None:
            self._terminal.loseConnection()
        if self._script is not None and self._pacer is not None:
            self._pacer.end(self._script.end)
        elif self._script is not None:
            self._script.end()

    def closed(self) -> None:
        """Clean up after the channel was closed."""
        self._channel = None
        self._connection.screens.discard(self._screen)
        self._screen.close()
        if self._pacer is not None:
            self._pacer.close()
        if self._terminal is not None:
            self._terminal.hung_up()

    def _job(self) -> _Job:
        console = Console(self._out, self._err, self._screen)
        return _Job(self._make_runner(console).run, console, self._finish)

    def _input(self, feed: Callable[[bytes], None]) -> _Input:
        """Return the receiver of the client's input."""
        if self._role is Role.ADMIN:
            return _Input(feed)
        self._pacer = InputPacer(self._reactor, feed, self._is_congested, self._overflow)
        return _Input(self._pacer.write)

    def _overflow(self) -> None:
        self._err(f"more than {MAX_PENDING} bytes of input are waiting\n")
        self._screen.close()
        self._finish(_FAILED)

    def _out(self, text: str) -> None:
        if self._channel is not None:
            self._channel.outReceived(self._encoded(text))

    def _err(self, text: str) -> None:
        if self._size is not None:
            self._out(text)
        elif self._channel is not None:
            self._channel.errReceived(self._encoded(text))

    def _encoded(self, text: str) -> bytes:
        """Encode text; a terminal needs CR LF line ends."""
        if self._size is not None:
            text = text.replace("\n", "\r\n")
        return text.encode("utf-8", "backslashreplace")

    def _finish(self, status: int) -> None:
        """Send the exit status to the client, and close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            end = ProcessTerminated(exitCode=status) if status else ProcessDone(None)
            channel.processEnded(Failure(end))


class _Job:
    """A run of source code without a prompt, and its exit status.

    :param run: runs source; returns whether it succeeded.
    :param finish: called with the exit status.
    """

    def __init__(
        self, run: Callable[[str], bool], console: Console, finish: Callable[[int], None]
    ) -> None:
        self._run = run
        self._console = console
        self._finish = finish
        self._is_over = False

    def run(self, source: str) -> None:
        """Run source, unless the job has ended."""
        if self._is_over:
            return
        try:
            if not self._run(source):
                self.end()
        except SystemExit as request:
            self._is_over = True
            self._finish(self._status(request.code))

    def end(self) -> None:
        """Finish when all pending work is done."""
        if not self._is_over:
            self._is_over = True
            self._console.idle().addCallback(lambda _: self._finish(int(self._console.failed)))

    def run_all(self, source: str) -> None:
        """Run source, and finish."""
        self.run(source)
        self.end()

    def complain(self, text: str) -> None:
        """Report invalid input, and finish."""
        self._console.complain(text)
        self.end()

    def _status(self, code: object) -> int:
        """Return the exit status of a :class:`SystemExit`, as Python computes it."""
        if code is None or isinstance(code, int):
            return (code or 0) & 0xFF
        self._console.complain(str(code))
        return _FAILED


class _Script:
    """A job whose input arrives in pieces."""

    def __init__(self, job: _Job, script: Script | Lines) -> None:
        self._job = job
        self._script = script

    def feed(self, data: bytes) -> None:
        """Run the statements that this piece completes."""
        try:
            statements = self._script.feed(data)
        except ValueError as error:
            self._job.complain(str(error))
            return
        for source in statements:
            self._job.run(source)

    def end(self) -> None:
        """Run the rest of the input."""
        self._job.run_all(self._script.end())


class _Input:
    """The receiver of a channel's input."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write

    def loseConnection(self) -> None:
        """Do nothing: :meth:`Session.closed` handles the end."""
