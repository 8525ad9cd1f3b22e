"""Logs refused clients at a bounded rate: each with its address and its reason, then only sums.

A flood of refused clients must not become a flood of lines. Each service may log ten of them at
once and one a second after that; every ten seconds a line says how many there were beside those,
and why, until there are no more. The sums come from the service's account, which has them all.
"""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sockd.ledger import Event, Reason
from sockd.limits.buckets import Allowance, Bucket

LINES = Allowance(10, 10.0)
"""How many refused clients of one service are logged one by one."""

INTERVAL = 10.0
"""How often the others are summed up, in seconds."""


class RefusalLog:
    """Writes the lines of all services.

    :param clock: tells the time, and when it is time for a sum.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._services: dict[str, _Account] = {}

    def tell(self, event: Event) -> None:
        """Log a refusal, or leave it for the sum."""
        account = self._account(event)
        if account.may_log(event, self._clock.seconds()):
            self._log.info(
                "Refused {peer} on {address}: {reason} ({service})",
                peer=event.peer,
                address=event.listener.address,
                reason=event.reason,
                service=event.service.name,
            )

    def _account(self, event: Event) -> _Account:
        service = event.service
        found = self._services.get(service.name)
        if found is None:
            found = self._services[service.name] = _Account(event, self._clock.seconds())
            self._clock.callLater(INTERVAL, self._sum_up, found)
        return found

    def _sum_up(self, account: _Account) -> None:
        """Say what was not said; the next refusal of a service that has none begins anew."""
        more = account.not_logged()
        if more:
            self._log.info(
                "{count} more clients were refused in the last {seconds:g} s: {reasons}"
                " ({service})",
                count=more.total(),
                seconds=INTERVAL,
                reasons=", ".join(f"{reason} {count}" for reason, count in more.most_common()),
                service=account.service.name,
            )
        if more or account.logged:
            account.begin()
            self._clock.callLater(INTERVAL, self._sum_up, account)
        else:
            del self._services[account.service.name]


class _Account:
    """What was refused and what was logged of it since the last sum.

    :param first: the refusal that it begins with, which is in the service's account already.
    :ivar logged: the refusals that were logged one by one.
    """

    def __init__(self, first: Event, now: float) -> None:
        self.service = first.service
        self._lines = Bucket(LINES, now)
        self.begin()
        self._before -= Counter([first.reason])

    def begin(self) -> None:
        """Forget what was, after a sum."""
        self._before: Counter[Reason | None] = Counter(self.service.refusals)
        self.logged: Counter[Reason | None] = Counter()

    def may_log(self, event: Event, now: float) -> bool:
        """Take note of a refusal; return whether it may have a line of its own."""
        may_log = self._lines.take(LINES, now)
        self.logged[event.reason] += may_log
        return may_log

    def not_logged(self) -> Counter[Reason | None]:
        """Return the others, by reason."""
        now: Counter[Reason | None] = Counter(self.service.refusals)
        return now - self._before - self.logged
