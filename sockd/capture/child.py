"""One ``dumpcap``, from its start to its end."""

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
"""How long the kernel may keep packets before it hands them to dumpcap, in seconds."""

EXIT_TIMEOUT = 3.0
"""How long dumpcap may take to end before it is killed, in seconds."""

_LONGEST_COMPLAINT = 16 * 1024


class Ended(Protocol):
    """What is called once a child is gone."""

    def __call__(self, said: str, ending: str) -> None:
        """Hear the end.

        :param said: what it said on standard error.
        :param ending: such as ``signal 9``; empty for an exit status of 0.
        """


class _Transport(IProcessTransport):
    """A process whose output can be left in its pipe."""

    def pauseProducing() -> None:
        """Read nothing."""

    def resumeProducing() -> None:
        """Read again."""


class Dumpcap(ProcessProtocol):
    """A child process that writes packets to its standard output.

    Should the daemon die without a word, the pipe breaks, and dumpcap ends with the next packet
    that it sees.

    :param received: takes the output.
    :param ended: hears the end, once the output is through.
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
        """Start it; where the system does not, that is its end."""
        try:
            self._reactor.spawnProcess(self, command[0], list(command), {"LC_ALL": "C"})
        except OSError as error:
            self._is_gone = True
            self._ended(f"dumpcap: {error.strerror}", "an error of the system")

    def outReceived(self, data: bytes) -> None:
        """Pass output on."""
        self._received(data)

    def errReceived(self, data: bytes) -> None:
        """Keep what it says, as far as people would read it."""
        self._said = (self._said + data)[:_LONGEST_COMPLAINT]

    def processEnded(self, reason: Failure) -> None:
        """Take note that it is gone, and reaped."""
        self._is_gone = True
        status = reason.value
        number, code = getattr(status, "signal", None), getattr(status, "exitCode", None)
        ending = f"signal {number}" if number else f"exit status {code}" if code else ""
        waiters, self._waiters = self._waiters, []
        self._ended(self._said.decode("utf-8", "replace"), ending)
        for waiter in waiters:
            waiter.callback(None)

    def pause(self) -> None:
        """Leave output in the pipe; when that is full, the kernel drops packets."""
        if not self._is_paused and not self._is_gone:
            self._is_paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Take output again."""
        if self._is_paused and not self._is_gone:
            self._is_paused = False
            self.transport.resumeProducing()

    async def stop(self, linger: float = 0.0) -> None:
        """End it; return once it is gone.

        :param linger: how long it may still hear of packets, in seconds.
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
        """Return when it is gone, or the time is over."""
        if self._is_gone or not seconds:
            return
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        try:
            await waiter.addTimeout(seconds, self._reactor)
        except DeferredTimeoutError:
            self._waiters.remove(waiter)
