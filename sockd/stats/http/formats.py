"""The format of an answer that a client asks for: JSON, a text table, or CSV. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from types import MappingProxyType

from sockd.stats.http.answers import BAD_REQUEST, RequestError
from sockd.stats.http.target import Target
from sockd.support.text import listed

VARY = MappingProxyType({"Vary": "Accept"})
"""The header of answers that are available in several formats."""


class Format(StrEnum):
    """The values of ``?format=``."""

    JSON = "json"
    TEXT = "text"
    CSV = "csv"


_MEDIA_TYPES = MappingProxyType(
    {"application/json": Format.JSON, "text/plain": Format.TEXT, "text/csv": Format.CSV}
)


def format_of(target: Target) -> Format:
    """Return the format that a request asks for, by ``?format=`` or by ``Accept``.

    The default is JSON, also for clients that accept none of the formats.

    :raise RequestError: if ``?format=`` is not valid.
    """
    given = target.parameters.get("format", ())
    if len(given) > 1:
        raise RequestError(BAD_REQUEST, "format is given twice; give it once")
    if not given:
        return _MEDIA_TYPES[preferred(target.accept, tuple(_MEDIA_TYPES)) or "application/json"]
    if given[0] not in list(Format):
        raise RequestError(BAD_REQUEST, f"format must be {listed(Format)}")
    return Format(given[0])


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """Return the media type that an ``Accept`` header prefers (RFC 9110, section 12.5.1).

    Of several types of the same weight, it returns the one that is named most exactly, and then the
    first one offered.

    :param offered: in the order of preference.
    :return: ``None`` if none of them is acceptable.
    """
    ranges = dict(_ranges(accept)) or {"*/*": 1.0}
    best, best_rank = None, (0.0, 0)
    for media_type in offered:
        kind = media_type.partition("/")[0]
        for exactness, pattern in ((3, media_type), (2, f"{kind}/*"), (1, "*/*")):
            if pattern in ranges:
                rank = (ranges[pattern], exactness)
                if rank[0] > 0 and rank > best_rank:
                    best, best_rank = media_type, rank
                break
    return best


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Return the media ranges of a header and their weights; invalid ones are skipped."""
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        if "/" in media_range:
            yield media_range, _weight(parameters)


def _weight(parameters: list[str]) -> float:
    """Return ``q``, from 0 to 1; 1 if it is missing or not valid."""
    texts = [text.removeprefix("q=") for text in parameters if text.startswith("q=")]
    try:
        weight = float(texts[0]) if texts else 1.0
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0
