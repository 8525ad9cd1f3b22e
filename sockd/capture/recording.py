"""A ``dumpcap`` whose packets are written to files.

The reactor only passes bytes from the pipe to the writing thread. If the disk is slow, the pipe is
no longer read, it fills up, and the kernel drops packets; the services do not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed

from sockd.capture.child import KERNEL_BUFFER_TIME, Dumpcap
from sockd.capture.pcapng import Blocks
from sockd.capture.recorder import Recorder
from sockd.capture.writer_thread import WriterThread
from sockd.reactor import IReactor
from sockd.support.logger import PartLogger

MAX_WRITE_QUEUE = 1024 * 1024
"""How many bytes may be queued for the disk before the pipe is no longer read."""

Outcome = Callable[[Exception | None, str, str], None]
"""Called with the error of a failed write, dumpcap's standard error, and how it ended."""


class Recording:
    """A running capture to files.

    :param began: called when dumpcap has opened the interface and set its filter.
    :param ended: called when the capture ends, unless it was stopped.
    """

    _log = PartLogger("sockd.capture")

    def __init__(
        self,
        reactor: IReactor,
        writer: WriterThread,
        with_payload: bool,
        began: Callable[[], None],
        ended: Outcome,
    ) -> None:
        self._writer = writer
        self._blocks = Blocks(with_payload)
        self._began = began
        self._ended = ended
        self._child = Dumpcap(reactor, self._received, self._gone)
        self._waiting: list[bytes] = []
        self._size = 0
        self._has_begun = False
        self._is_stopping = False
        self._error: Exception | None = None
        self._is_writing = False
        self._unwritten: list[Deferred[None]] = []
        self._unready: list[Deferred[None]] = []

    def start(self, command: Sequence[str]) -> None:
        """Start dumpcap."""
        self._child.spawn(command)

    def ready(self) -> Deferred[None]:
        """Return a Deferred that fires when the capture has begun, or has ended."""
        if self._has_begun:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._unready.append(waiter)
        return waiter

    async def stop(self) -> None:
        """Stop dumpcap; return once its last packets are written."""
        self._is_stopping = True
        await self._child.stop(KERNEL_BUFFER_TIME)
        await self._finish()
        _fire(self._unready)

    def _received(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._began()
            _fire(self._unready)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MAX_WRITE_QUEUE:
            self._child.pause()
        if not self._is_writing:
            self._is_writing = True
            self._run(self._write())

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run a coroutine whose result is not awaited; log an exception."""
        running = Deferred.fromCoroutine(work)
        running.addErrback(lambda failure: self._log.failure("The capture failed", failure))

    async def _write(self) -> None:
        """Write the queued data, and what is queued meanwhile."""
        while self._waiting:
            data = b"".join(self._waiting)
            self._waiting, self._size = [], 0
            self._child.resume()
            if self._error is None:
                await self._try_to_write(data)
        self._is_writing = False
        _fire(self._unwritten)

    async def _try_to_write(self, data: bytes) -> None:
        def job(recorder: Recorder) -> None:
            recorder.write(self._blocks.feed(data))

        try:
            await self._writer.ask(job)
        except Exception as error:  # on any error, dumpcap must not keep running for nothing
            self._error = error
            self._run(self._child.stop())

    async def _finish(self) -> None:
        if self._is_writing:
            written: Deferred[None] = Deferred()
            self._unwritten.append(written)
            await written
        await self._writer.ask(Recorder.close)

    def _gone(self, said: str, ending: str) -> None:
        if not self._is_stopping:
            self._run(self._report(said, ending))

    async def _report(self, said: str, ending: str) -> None:
        await self._finish()
        self._ended(self._error, said, ending)
        _fire(self._unready)


def _fire(waiters: list[Deferred[None]]) -> None:
    """Fire each waiter once."""
    fired = waiters.copy()
    waiters.clear()
    for waiter in fired:
        waiter.callback(None)
