"""The daemon stops whatever it started, whatever becomes of one of its parts."""

from __future__ import annotations

from typing import cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from sockd.daemon import Daemon, StartError
from sockd.errors import BindError, ConfigurationError, Problem, SourceLocation
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason
from sockd.model.records import State
from sockd.reactor import IReactor
from sockd.testing import FakeService


class Reactor(MemoryReactorClock):
    """A reactor that remembers whether it went round."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rounds = 0

    def iterate(self, delay: float = 0) -> None:
        """Go round once."""
        self.rounds += 1


class Lab:
    """A daemon of two services and one view."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.ledger = Ledger(self.reactor.seconds)
        self.one, self.two, self.view = (
            FakeService(name, self.ledger) for name in ("one", "two", "view")
        )
        reactor = cast(IReactor, self.reactor)
        self.told: list[str] = []
        services = [self.one, self.two]
        self.daemon = Daemon("lab", self.ledger, services, reactor, "fake", 0.0, self.told.append)
        self.daemon.show([self.view], tuple)

    def states(self) -> list[State]:
        """Return where each part is in its life."""
        return [part.record.state for part in (self.one, self.two, self.view)]


def test_what_cannot_all_be_bound_is_all_closed_before_the_process_ends() -> None:
    lab = Lab()
    problem = Problem(SourceLocation("a.ini", 3), "no", "yes")
    lab.two.unbindable = BindError([problem])
    with pytest.raises(StartError, match=r"^a\.ini:3: no \(yes\)$"):
        lab.daemon.privilegedStartService()
    assert lab.told == ["a.ini:3: no (yes)"]
    assert lab.states() == [State.STOPPED] * 3
    assert lab.reactor.rounds == 1


def test_the_views_stay_until_the_services_have_stopped() -> None:
    lab = Lab()
    lab.daemon.startService()
    lab.one.finish = Deferred()
    stopped = lab.daemon.stopService()
    assert lab.states() == [State.STOPPED, State.STOPPED, State.LISTENING]
    assert lab.daemon.draining
    lab.daemon.hurry()
    assert lab.states() == [State.STOPPED] * 3
    assert stopped.called


def test_a_part_that_does_not_stop_cleanly_does_not_keep_the_others_from_it() -> None:
    lab = Lab()
    lab.daemon.startService()
    lab.one.finish = Deferred()
    lab.two.finish = Deferred()
    waiting = lab.two.open()
    stopped = lab.daemon.stopService()
    lab.one.finish.errback(ValueError("no"))
    assert not stopped.called
    lab.two.finish.callback(None)
    assert waiting.reason is EndReason.STOP
    assert stopped.called
    assert lab.states() == [State.STOPPED] * 3


def test_a_service_that_leaves_is_listed_until_it_has_drained() -> None:
    lab = Lab()
    lab.daemon.startService()
    lab.two.finish = Deferred()
    client = lab.two.open()
    lab.daemon.adopt("class", {"one": lab.one}, [lab.two])
    assert list(lab.daemon.services) == ["one", "two"]
    assert lab.two.record.state is State.STOPPED
    with pytest.raises(ConfigurationError, match="was removed"):
        lab.daemon.start("two")
    assert lab.daemon.disconnect(client.id)
    lab.daemon.hurry()
    assert list(lab.daemon.services) == ["one"]
    assert "two" not in lab.ledger.services
    assert lab.daemon.name == "class"


def test_a_service_of_the_same_name_goes_on_with_the_account_of_one_that_leaves() -> None:
    lab = Lab()
    lab.daemon.startService()
    lab.two.finish = Deferred()
    successor = FakeService("two", lab.ledger)
    lab.daemon.adopt("lab", {"one": lab.one, "two": successor}, [lab.two])
    assert lab.daemon.services["two"] is successor
    lab.two.finish.callback(None)
    assert lab.daemon.services == {"one": lab.one, "two": successor}
    assert lab.ledger.services["two"] is successor.record
