"""Bounds the log: of what happens again and again, the first have a line each, the others a sum.

A flood of clients must not become a flood of lines. For each service, and for each of accept,
close and refuse, so many events in ten seconds may have a line of their own; then a line says how
many there were beside those, and why. The sums come from the service's account, which has them
all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from twisted.internet.interfaces import IReactorTime

from sockd.model.events import Event, EventType
from sockd.model.reasons import EndReason, RefusalReason
from sockd.support.logger import PartLogger

SUMMARY_INTERVAL = 10.0
"""How long a number of lines must last, in seconds; at its end the others are summed up."""

LINES_PER_INTERVAL: Mapping[EventType, int] = MappingProxyType(
    {EventType.ACCEPT: 200, EventType.CLOSE: 200, EventType.REFUSE: 10}
)
"""How many events of one service have a line each in that time. The other words are rare."""

_SUMS = MappingProxyType(
    {
        EventType.ACCEPT: "connections were accepted",
        EventType.CLOSE: "connections were closed",
        EventType.REFUSE: "clients were refused",
    }
)

_Reasons = Counter[EndReason | RefusalReason | None]


class LogRateLimiter:
    """Says of each event whether it may have a line, and writes the sums of the others.

    :param clock: tells the time, and when it is time for a sum.
    """

    _log = PartLogger("sockd")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._accounts: dict[tuple[str, EventType], _Account] = {}

    def has_line(self, event: Event) -> bool:
        """Return whether an event is one of the first, or leave it for the sum."""
        account = self._accounts.get((event.service.name, event.type))
        if account is None:
            if event.type not in LINES_PER_INTERVAL:
                return True
            account = self._open(event)
        if not account.lines_left:
            return False
        account.give_line(event)
        return True

    def _open(self, event: Event) -> _Account:
        account = _Account(event)
        self._accounts[event.service.name, event.type] = account
        self._clock.callLater(SUMMARY_INTERVAL, self._sum_up, account)
        return account

    def _sum_up(self, account: _Account) -> None:
        """Say what was not said; the next event after a quiet time begins anew."""
        more = account.without_line()
        if more:
            self._log.info(
                "{count} more {what} in the last {seconds:g} s{reasons} ({service})",
                count=more.total(),
                what=_SUMS[account.type],
                seconds=SUMMARY_INTERVAL,
                reasons=_listed_reasons(more),
                service=account.service.name,
            )
        if more or account.told:
            account.begin()
            self._clock.callLater(SUMMARY_INTERVAL, self._sum_up, account)
        else:
            del self._accounts[account.service.name, account.type]


class _Account:
    """What happened and what was told of it since the last sum.

    :param first: the event that it begins with, which is in the service's account already.
    :ivar lines_left: how many more events may have a line.
    :ivar told: the events that had one.
    """

    def __init__(self, first: Event) -> None:
        self.service = first.service
        self.type = first.type
        self.begin()
        self._before -= _Reasons([first.reason])

    def begin(self) -> None:
        """Forget what was, after a sum."""
        self._before = self._all()
        self.lines_left = LINES_PER_INTERVAL[self.type]
        self.told: _Reasons = _Reasons()

    def give_line(self, event: Event) -> None:
        """Take note that an event has one."""
        self.lines_left -= 1
        self.told[event.reason] += 1

    def without_line(self) -> _Reasons:
        """Return the others, by reason."""
        return self._all() - self._before - self.told

    def _all(self) -> _Reasons:
        if self.type is EventType.ACCEPT:
            return _Reasons({None: self.service.opened})
        counts = self.service.ends if self.type is EventType.CLOSE else self.service.refusals
        return _Reasons(dict(counts.items()))


def _listed_reasons(reasons: _Reasons) -> str:
    told = [f"{reason} {count}" for reason, count in reasons.most_common() if reason is not None]
    return f": {', '.join(told)}" if told else ""
