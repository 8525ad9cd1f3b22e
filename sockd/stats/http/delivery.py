"""Sends an answer, slice by slice, as fast as the client reads it.

All answers, small ones too, go through one cooperator. In each turn of the reactor it makes one
slice for one client, so neither a long answer nor many requests in one read delay the daemon's
peers. Nothing is made for a client that does not read. A client is disconnected when its transport
buffer stays full for :data:`DELIVERY_TIMEOUT`, that is, when it reads less than 64 KiB in that
time. An endless answer waits for new data, and ends with its client. It may be too small to fill a
buffer for hours, so :class:`StallWatch` checks what the peer has acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import chain

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import Cooperator, TaskStopped
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from sockd.stats.http.answers import (
    DELIVERY_TIMEOUT,
    INTERNAL_SERVER_ERROR,
    Answer,
    RequestError,
    json_answer,
)
from sockd.stats.http.stall import StallWatch
from sockd.support.logger import PartLogger


class IExchange(Interface):
    """A request, as the delivery of its answer sees it."""

    def begin(answer: Answer) -> None:
        """Send the status and the headers."""

    def send(data: bytes) -> None:
        """Send part of the body."""

    def complete() -> None:
        """Finish the answer: all of it was sent, and the producer is done."""

    def untaken() -> int:
        """Return how many bytes are in the kernel that the peer has not acknowledged."""

    def abort() -> None:
        """Abort the connection."""

    def feed_from(producer: IPushProducer) -> None:
        """Register the producer that the connection pauses and resumes."""

    def lost() -> Deferred[None]:
        """Return a Deferred that fails if the client disconnects before the answer is complete."""


def one_slice_a_turn(reactor: IReactorTime) -> Cooperator:
    """Return a cooperator that does one step of one task in each turn of the reactor."""

    def scheduler(step: Callable[[], None]) -> IDelayedCall:
        return reactor.callLater(0, step)

    return Cooperator(lambda: lambda: True, scheduler)


@implementer(IPushProducer)
class Delivery:
    """The delivery of one answer.

    :param make: makes the answer; its exceptions are answered too.
    :param bodiless: omit the body, for HEAD.
    """

    _log = PartLogger("sockd.stats")

    def __init__(
        self,
        exchange: IExchange,
        make: Callable[[], Answer],
        bodiless: bool,
        reactor: IReactorTime,
        cooperator: Cooperator,
    ) -> None:
        self._exchange = exchange
        self._make = make
        self._bodiless = bodiless
        self._reactor = reactor
        self._stall_call: IDelayedCall | None = None
        self._is_over = False
        self._release: Callable[[], object] | None = None
        self._watch: StallWatch | None = None
        exchange.feed_from(self)
        exchange.lost().addErrback(lambda _: self.stopProducing())
        self._task = cooperator.cooperate(self._steps())
        self._task.whenDone().addErrback(self._failed)

    def pauseProducing(self) -> None:
        """Make no more slices. The transport calls this at each write while its buffer is full."""
        if self._stall_call is None and not self._is_over:
            self._stall_call = self._reactor.callLater(DELIVERY_TIMEOUT, self._exchange.abort)
            self._task.pause()

    def resumeProducing(self) -> None:
        """Continue: the client has read the buffer."""
        if self._stall_call is not None and not self._is_over:
            self._cancel_stall_call()
            self._stall_call = None
            self._task.resume()

    def stopProducing(self) -> None:
        """Stop: the client has disconnected."""
        if not self._is_over:
            self._is_over = True
            self._cancel_stall_call()
            self._task.stop()
            self._end_transfer()

    def _cancel_stall_call(self) -> None:
        if self._stall_call is not None and self._stall_call.active():
            self._stall_call.cancel()

    def _end_transfer(self) -> None:
        """Release an endless answer, once."""
        release, self._release = self._release, None
        if release is not None:
            release()
        if self._watch is not None:
            self._watch.end()

    def _steps(self) -> Iterator[Deferred[None] | None]:
        answer = yield from self._answer()
        self._exchange.begin(answer)
        if not self._bodiless:
            self._attach(answer)
        for item in (b"",) if self._bodiless else _answer_slices(answer):
            if isinstance(item, Deferred):
                yield item
            else:
                self._exchange.send(item)
                yield None
        self._is_over = True
        self._exchange.complete()
        self._end_transfer()

    def _attach(self, answer: Answer) -> None:
        """Watch the client of an endless answer."""
        if answer.release is not None:
            self._watch = StallWatch(self._exchange, self._reactor)
        if answer.attach is not None:
            answer.attach(self._exchange)

    def _answer(self) -> Generator[Deferred[None], None, Answer]:
        """Return the answer with its first slice made, so that an error there is answered too."""
        try:
            answer = self._make()
            self._release = answer.release
            return answer if self._bodiless else (yield from _started(answer))
        except RequestError as error:
            return error.answer()
        except Exception:
            self._log.failure("The stats endpoint failed to answer a request")
            return json_answer({"error": "internal error; see the log"}, INTERNAL_SERVER_ERROR)

    def _failed(self, failure: Failure) -> None:
        """Abort an answer that failed after its start."""
        if not failure.check(TaskStopped):
            self._is_over = True
            self._log.failure("The stats endpoint failed within an answer", failure)
            self._exchange.abort()
            self._end_transfer()


def _answer_slices(answer: Answer) -> Iterator[bytes | Deferred[None]]:
    return iter((answer.body,)) if isinstance(answer.body, bytes) else answer.body


def _started(answer: Answer) -> Generator[Deferred[None], None, Answer]:
    """Return an answer whose first slice has been made."""
    if isinstance(answer.body, bytes):
        return answer
    for first in answer.body:
        if not isinstance(first, Deferred):
            return replace(answer, body=chain((first,), answer.body))
        yield first
    return replace(answer, body=iter(()))
