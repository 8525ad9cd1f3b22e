"""The limits of a section as text, for the log line of a refused client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from sockd.limits.buckets import UNLIMITED
from sockd.model.reasons import RefusalReason

if TYPE_CHECKING:
    from sockd.limits.buckets import RateLimit
    from sockd.limits.spec import LimitsSpec

_PERIODS = MappingProxyType({0.001: "ms", 1.0: "s", 60.0: "m", 3600.0: "h"})
_SIZES = (
    *(("GiB", 1024**3), ("GB", 1000**3), ("MiB", 1024**2)),
    *(("MB", 1000**2), ("KiB", 1024), ("KB", 1000), ("B", 1)),
)


def terms(limits: LimitsSpec, max_connections: int) -> Mapping[RefusalReason, str]:
    """Return the text of each limit in effect, by the reason of its refusals."""
    values = {
        RefusalReason.PER_SOURCE: str(limits.per_source or ""),
        RefusalReason.CONNECT_RATE: _rate(limits.connect_rate, _count_text),
        RefusalReason.TOTAL_RATE: _rate(limits.total_rate, _count_text),
        RefusalReason.SOURCE_PACKETS: _rate(limits.source_packets, _count_text),
        RefusalReason.TOTAL_PACKETS: _rate(limits.total_packets, _count_text),
        RefusalReason.SOURCE_BYTES: _rate(limits.source_bytes, _size),
        RefusalReason.TOTAL_BYTES: _rate(limits.total_bytes, _size),
    }
    texts = {reason: f"{reason} = {value}" for reason, value in values.items() if value}
    texts[RefusalReason.FULL] = f"{RefusalReason.FULL}, max_connections = {max_connections}"
    return MappingProxyType(texts)


def _rate(rate_limit: RateLimit, written: Callable[[float], str]) -> str:
    """Return a rate limit as in the configuration; an empty text if it is unlimited."""
    if rate_limit == UNLIMITED:
        return ""
    return f"{written(rate_limit.count)}/{_PERIODS[rate_limit.period]}"


def _count_text(count: float) -> str:
    return str(int(count))


def _size(count: float) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    unit, size = next((name, size) for name, size in _SIZES if count % size == 0)
    return f"{int(count) // size}{unit}"
