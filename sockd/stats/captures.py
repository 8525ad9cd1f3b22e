"""The answers of ``/capture`` and ``/capture.pcapng``."""

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
    """Return the status of the capture.

    :raise RequestError: if no capture is configured.
    """
    return json_answer(_existing(capture).status())


def live_answer(capture: ICapture | None) -> Answer:
    """Return a live capture, which starts with the first slice.

    :raise RequestError: if live captures are not configured.
    """
    existing = _existing(capture)
    if not existing.is_live:
        text = "live capture is disabled: [capture] needs `live = yes`"
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
