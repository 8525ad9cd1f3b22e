"""A live capture for one viewer, with its own ``dumpcap``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from sockd.capture.child import Dumpcap
from sockd.capture.pcapng import Blocks, FormatError
from sockd.errors import CaptureError
from sockd.interfaces import ILiveCapture
from sockd.reactor import IReactor

MAX_VIEWER_QUEUE = 256 * 1024
"""How many bytes may be queued for the viewer before the pipe is no longer read."""


@implementer(ILiveCapture)
class LiveView:
    """The packets for one viewer, from its first request for a slice on.

    :param begin: returns dumpcap's command line, or raises :class:`CaptureError`.
    :param judge: makes an error of dumpcap's standard error and exit status.
    :param closed: called when dumpcap is gone.
    """

    def __init__(
        self,
        reactor: IReactor,
        with_payload: bool,
        begin: Callable[[LiveView], Sequence[str]],
        judge: Callable[[str, str], CaptureError | None],
        closed: Callable[[LiveView], None],
    ) -> None:
        self._blocks = Blocks(with_payload)
        self._begin = begin
        self._judge = judge
        self._closed = closed
        self._child = Dumpcap(reactor, self._received, self._gone)
        self._waiting: list[bytes] = []
        self._size = 0
        self._more: Deferred[None] | None = None
        self._is_spawned = False
        self._has_begun = False
        self._is_over = False
        self._error: CaptureError | None = None

    def slices(self) -> Iterator[bytes | Deferred[None]]:
        """Return slices of the stream; a Deferred, when there is none, fires when there is one.

        :raise CaptureError: if dumpcap cannot be run, or ended before it wrote anything.
        """
        self._child.spawn(self._begin(self))
        self._is_spawned = True
        while self._waiting or not self._is_over:
            if self._waiting:
                data = b"".join(self._waiting)
                self._waiting, self._size = [], 0
                self._child.resume()
                self._has_begun = True
                yield data
            else:
                self._more = Deferred()
                yield self._more
        if self._error is not None and not self._has_begun:
            raise self._error

    def close(self) -> Deferred[None]:
        """End the stream. Return a Deferred that fires when dumpcap is gone."""
        self._is_over = True
        self._wake()
        return Deferred.fromCoroutine(self._child.stop()) if self._is_spawned else succeed(None)

    def _received(self, data: bytes) -> None:
        if self._is_over:
            return
        try:
            slices = [block.data for block in self._blocks.feed(data)]
        except FormatError:
            self.close()
            return
        self._waiting += slices
        self._size += sum(map(len, slices))
        if self._size > MAX_VIEWER_QUEUE:
            self._child.pause()
        self._wake()

    def _gone(self, said: str, ending: str) -> None:
        self._is_over = True
        self._error = self._judge(said, ending)
        self._closed(self)
        self._wake()

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)
