"""Limits the number of log lines: the first events have a line each, the others are summed up.

For each service and each of accept, close and refuse, a number of events in ten seconds is logged
one by one. A summary then says how many more there were, and for which reasons. It is computed
from the counters of the service, which count every event.
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
"""The length of an interval in seconds. A summary of the suppressed events ends it."""

LINES_PER_INTERVAL: Mapping[EventType, int] = MappingProxyType(
    {EventType.ACCEPT: 200, EventType.CLOSE: 200, EventType.REFUSE: 10}
)
"""How many events of one service are logged one by one in an interval. Other types are rare."""

_SUMMARIES = MappingProxyType(
    {
        EventType.ACCEPT: "connections were accepted",
        EventType.CLOSE: "connections were closed",
        EventType.REFUSE: "clients were refused",
    }
)

_Reasons = Counter[EndReason | RefusalReason | None]


class LogRateLimiter:
    """Decides whether an event is logged, and logs summaries of those that are not.

    :param clock: schedules the summaries.
    """

    _log = PartLogger("sockd")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._accounts: dict[tuple[str, EventType], _Account] = {}

    def has_line(self, event: Event) -> bool:
        """Return whether an event may be logged; otherwise the next summary counts it."""
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
        """Log the summary. After an interval without events, the next event starts a new one."""
        more = account.without_line()
        if more:
            self._log.info(
                "{count} more {what} in the last {seconds:g} s{reasons} ({service})",
                count=more.total(),
                what=_SUMMARIES[account.type],
                seconds=SUMMARY_INTERVAL,
                reasons=_listed_reasons(more),
                service=account.service.name,
            )
        if more or account.logged:
            account.begin()
            self._clock.callLater(SUMMARY_INTERVAL, self._sum_up, account)
        else:
            del self._accounts[account.service.name, account.type]


class _Account:
    """The events of one service and type in the current interval.

    :param first: the event that starts the interval; the service's counters already include it.
    :ivar lines_left: how many more events may be logged.
    :ivar logged: the number of logged events, by reason.
    """

    def __init__(self, first: Event) -> None:
        self.service = first.service
        self.type = first.type
        self.begin()
        self._before -= _Reasons([first.reason])

    def begin(self) -> None:
        """Start a new interval."""
        self._before = self._all()
        self.lines_left = LINES_PER_INTERVAL[self.type]
        self.logged: _Reasons = _Reasons()

    def give_line(self, event: Event) -> None:
        """Count an event that is logged."""
        self.lines_left -= 1
        self.logged[event.reason] += 1

    def without_line(self) -> _Reasons:
        """Return the number of suppressed events, by reason."""
        return self._all() - self._before - self.logged

    def _all(self) -> _Reasons:
        if self.type is EventType.ACCEPT:
            return _Reasons({None: self.service.opened})
        counts = self.service.ends if self.type is EventType.CLOSE else self.service.refusals
        return _Reasons(dict(counts.items()))


def _listed_reasons(reasons: _Reasons) -> str:
    parts = [f"{reason} {count}" for reason, count in reasons.most_common() if reason is not None]
    return f": {', '.join(parts)}" if parts else ""
