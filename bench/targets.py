"""PURE: what sockd is to reach, on its default reactor, as medians of ratios in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OURS = "sockd"
"""The contender whose targets these are."""


@dataclass(frozen=True)
class Target:
    """A bound for the median of the rounds.

    :ivar work: the name of a work.
    :ivar figure: the name of one of its figures.
    :ivar against: the contender whose figure sockd's is divided by; empty: by none.
    :ivar bound: in the figure's own unit where it is divided by none.
    :ivar is_least: whether the bound is the least that is good enough, or the most.
    """

    work: str
    figure: str
    against: str
    bound: float
    is_least: bool = True

    def is_met_by(self, median: float) -> bool:
        """Return whether a median is good enough."""
        return median >= self.bound if self.is_least else median <= self.bound

    @property
    def text(self) -> str:
        """The bound, for people."""
        return f"{'≥' if self.is_least else '≤'} {self.bound:g}"


def _rates(works: tuple[str, ...], bounds: Mapping[str, float]) -> tuple[Target, ...]:
    return tuple(
        Target(work, "rate", against, bound) for work in works for against, bound in bounds.items()
    )


TARGETS = (
    *_rates(
        ("tcp-64", "tcp-1k"),
        {"c": 0.80, "twisted": 3.0, "asyncio": 1.15, "uvloop": 0.95, "go": 1.0, "xinetd": 1.5},
    ),
    *_rates(("tcp-64k",), {"c": 0.88, "asyncio": 1.0, "uvloop": 1.0, "go": 1.0}),
    *_rates(("udp-64", "udp-1k"), {"c": 0.70, "twisted": 1.4}),
    *_rates(("connect",), {"c": 0.50, "twisted": 0.95, "socat": 9.0}),
    Target("latency", "p50", "c", 1.15, is_least=False),
    Target("idle", "kib_each", "", 3.0, is_least=False),
    Target("idle", "beside", "", 0.9),
    Target("start", "start", "twistd-web", 1.5, is_least=False),
    Target("fair", "health_p99", "", 50.0, is_least=False),
    Target("watched", "watched", "", 0.95),
)
