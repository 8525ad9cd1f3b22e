"""Sends an answer, a slice at a time, as fast as the client takes it and no faster.

Everything goes through one cooperator, small answers too. One turn of the reactor makes one slice
for one client, so neither a long answer nor many requests in one read keep the daemon from its
peers. While a client does not read, nothing more is made for it. A client is disconnected when the
buffer of its connection stays full for :data:`DELIVERY_TIMEOUT`: it takes less than 64 KiB in that
time. An answer without an end waits for what is new, and ends with its client. It may be too short
to fill a buffer for hours, so :class:`StallWatch` looks at what the kernel still keeps of it.
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
    """One request, as far as the delivery of its answer goes."""

    def begin(answer: Answer) -> None:
        """Send the status and the headers."""

    def send(data: bytes) -> None:
        """Send a part of the body."""

    def complete() -> None:
        """Enter that all of the answer was sent; the producer is done too."""

    def untaken() -> int:
        """Return how many bytes the kernel keeps that the client's system has not acknowledged."""

    def abort() -> None:
        """Drop the connection at once."""

    def feed_from(producer: IPushProducer) -> None:
        """Let the connection pause and resume whoever makes the answer."""

    def lost() -> Deferred[None]:
        """Return what fails if the client goes before the answer is complete."""


def one_slice_a_turn(reactor: IReactorTime) -> Cooperator:
    """Return a cooperator that does one step of one task in each turn of a reactor."""

    def scheduler(step: Callable[[], None]) -> IDelayedCall:
        return reactor.callLater(0, step)

    return Cooperator(lambda: lambda: True, scheduler)


@implementer(IPushProducer)
class Delivery:
    """The delivery of one answer, under way.

    :param make: makes the answer; what it raises is answered too.
    :param bodiless: leave the body out, for HEAD.
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
        self._impatience: IDelayedCall | None = None
        self._is_over = False
        self._release: Callable[[], object] | None = None
        self._watch: StallWatch | None = None
        exchange.feed_from(self)
        exchange.lost().addErrback(lambda _: self.stopProducing())
        self._task = cooperator.cooperate(self._steps())
        self._task.whenDone().addErrback(self._failed)

    def pauseProducing(self) -> None:
        """Make nothing more; the transport asks again with each write while its buffer is full."""
        if self._impatience is None and not self._is_over:
            self._impatience = self._reactor.callLater(DELIVERY_TIMEOUT, self._exchange.abort)
            self._task.pause()

    def resumeProducing(self) -> None:
        """Go on: the client took what there was."""
        if self._impatience is not None and not self._is_over:
            self._calm_down()
            self._impatience = None
            self._task.resume()

    def stopProducing(self) -> None:
        """End it: the client is gone."""
        if not self._is_over:
            self._is_over = True
            self._calm_down()
            self._task.stop()
            self._end_transfer()

    def _calm_down(self) -> None:
        if self._impatience is not None and self._impatience.active():
            self._impatience.cancel()

    def _end_transfer(self) -> None:
        """Let whoever makes an answer without an end go, once."""
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
        """Watch a client whose answer has no end."""
        if answer.release is not None:
            self._watch = StallWatch(self._exchange, self._reactor)
        if answer.attach is not None:
            answer.attach(self._exchange)

    def _answer(self) -> Generator[Deferred[None], None, Answer]:
        """Return the answer, with its first slice made, so that an error there can be told."""
        try:
            answer = self._make()
            self._release = answer.release
            return answer if self._bodiless else (yield from _started(answer))
        except RequestError as error:
            return error.answer()
        except Exception:
            self._log.failure("The stats endpoint failed to answer a request")
            return json_answer({"error": "internal error; the log has it"}, INTERNAL_SERVER_ERROR)

    def _failed(self, failure: Failure) -> None:
        """Break off an answer that cannot be ended well any more."""
        if not failure.check(TaskStopped):
            self._is_over = True
            self._log.failure("The stats endpoint failed within an answer", failure)
            self._exchange.abort()
            self._end_transfer()


def _answer_slices(answer: Answer) -> Iterator[bytes | Deferred[None]]:
    return iter((answer.body,)) if isinstance(answer.body, bytes) else answer.body


def _started(answer: Answer) -> Generator[Deferred[None], None, Answer]:
    """Return an answer whose first slice is made, and wait until it is."""
    if isinstance(answer.body, bytes):
        return answer
    for first in answer.body:
        if not isinstance(first, Deferred):
            return replace(answer, body=chain((first,), answer.body))
        yield first
    return replace(answer, body=iter(()))
