"""What the stats endpoint says of the capture, and the live packets themselves."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred

from sockd.errors import CaptureError
from sockd.interfaces import ICapture, ILiveCapture
from sockd.stats.http.answers import (
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    Answer,
    RequestError,
    json_answer,
)

PCAPNG = "application/x-pcapng"


def status_answer(capture: ICapture | None) -> Answer:
    """Return how the capture goes.

    :raise RequestError: if nobody asked for one.
    """
    return json_answer(_existing(capture).status())


def live_answer(capture: ICapture | None) -> Answer:
    """Return the packets as they come; nothing is captured before the first is asked for.

    :raise RequestError: if that is not allowed.
    """
    existing = _existing(capture)
    if not existing.is_live:
        text = "nobody may watch: [capture] needs `live = yes`"
        raise RequestError(NOT_FOUND, text)
    view = existing.watch()
    return Answer(_capture_slices(view), content_type=PCAPNG, release=view.close)


def _existing(capture: ICapture | None) -> ICapture:
    if capture is None:
        raise RequestError(NOT_FOUND, "the configuration has no [capture] section")
    return capture


def _capture_slices(view: ILiveCapture) -> Iterator[bytes | Deferred[None]]:
    try:
        yield from view.slices()
    except CaptureError as error:
        raise RequestError(SERVICE_UNAVAILABLE, str(error)) from None
