"""A ``dumpcap`` child process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from sockd.reactor import IReactor

KERNEL_BUFFER_TIME = 0.5
"""How long the kernel may buffer packets before it passes them to dumpcap, in seconds."""

EXIT_TIMEOUT = 3.0
"""How long dumpcap may take to exit before it is killed, in seconds."""

_MAX_STDERR = 16 * 1024


class Ended(Protocol):
    """The callback for the end of a child process."""

    def __call__(self, said: str, ending: str) -> None:
        """Handle the end.

        :param said: what dumpcap wrote to standard error.
        :param ending: such as ``signal 9``; empty for an exit status of 0.
        """


class _Transport(IProcessTransport):
    """A process transport whose output can be left in the pipe."""

    def pauseProducing() -> None:
        """Stop reading output."""

    def resumeProducing() -> None:
        """Read output again."""


class Dumpcap(ProcessProtocol):
    """A child process that writes packets to its standard output.

    If the daemon is killed, the pipe breaks, and dumpcap exits at the next packet.

    :param received: called with the output.
    :param ended: called when the process is gone and its output has been read.
    """

    transport: _Transport

    def __init__(self, reactor: IReactor, received: Callable[[bytes], None], ended: Ended) -> None:
        self._reactor = reactor
        self._received = received
        self._ended = ended
        self._said = b""
        self._waiters: list[Deferred[None]] = []
        self._is_paused = False
        self._is_gone = False

    def spawn(self, command: Sequence[str]) -> None:
        """Start the process; if the system cannot start it, call ``ended``."""
        try:
            self._reactor.spawnProcess(self, command[0], list(command), {"LC_ALL": "C"})
        except OSError as error:
            self._is_gone = True
            self._ended(f"dumpcap: {error.strerror}", "a system error")

    def outReceived(self, data: bytes) -> None:
        """Pass output on."""
        self._received(data)

    def errReceived(self, data: bytes) -> None:
        """Keep what dumpcap writes to standard error, up to a limit."""
        self._said = (self._said + data)[:_MAX_STDERR]

    def processEnded(self, reason: Failure) -> None:
        """Handle the end of the process."""
        self._is_gone = True
        status = reason.value
        number, code = getattr(status, "signal", None), getattr(status, "exitCode", None)
        ending = f"signal {number}" if number else f"exit status {code}" if code else ""
        waiters, self._waiters = self._waiters, []
        self._ended(self._said.decode("utf-8", "replace"), ending)
        for waiter in waiters:
            waiter.callback(None)

    def pause(self) -> None:
        """Leave the output in the pipe; when the pipe is full, the kernel drops packets."""
        if not self._is_paused and not self._is_gone:
            self._is_paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read output again."""
        if self._is_paused and not self._is_gone:
            self._is_paused = False
            self.transport.resumeProducing()

    async def stop(self, linger: float = 0.0) -> None:
        """Stop the process; return once it is gone.

        :param linger: how long it may still receive packets, in seconds.
        """
        await self._wait(linger)
        self._signal("TERM")
        await self._wait(EXIT_TIMEOUT)
        self._signal("KILL")
        await self._wait(EXIT_TIMEOUT)

    def _signal(self, name: str) -> None:
        if not self._is_gone:
            self.resume()
            self.transport.signalProcess(name)

    async def _wait(self, seconds: float) -> None:
        """Return when the process is gone, or after a time."""
        if self._is_gone or not seconds:
            return
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        try:
            await waiter.addTimeout(seconds, self._reactor)
        except DeferredTimeoutError:
            self._waiters.remove(waiter)
