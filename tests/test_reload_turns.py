"""A reload runs in short turns of the reactor, and other work runs in between."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.base import DelayedCall
from twisted.internet.testing import MemoryReactorClock

from sockd.config.load import load_in_steps
from sockd.config.specs import Configuration
from sockd.daemon import Daemon
from sockd.errors import ConfigurationError
from sockd.model.ledger import Ledger
from sockd.model.records import State
from sockd.reactor import IReactor
from sockd.registry import Registry, discover
from sockd.reload.plan import Plan
from sockd.reload.reloader import Reloader
from sockd.services.context import ServiceContext
from sockd.support import turns
from sockd.support.steps import Steps, finished
from tests.clients import ask, connect
from tests.conftest import RunSockd

SERVICES, EACH = 500, 8
LONGEST = 0.02
"""The limit of one turn of the reactor, in seconds of processor time."""


def section(name: str, first: int, count: int = EACH, **options: object) -> str:
    """Return a service; where the first port is 0, all are, and the system picks them."""
    ports = range(first, first + count) if first else [0] * count
    listen = ",\n  ".join(f"tcp:{port}:interface=127.0.0.1" for port in ports)
    given = {"kind": "multi", "listen": listen} | options
    lines = [f"{option} = {value}" for option, value in given.items()]
    return "\n".join([f"[service:{name}]", *lines, ""])


def sections(count: int, *, reverse: bool = False, **options: object) -> str:
    """Return services with eight ports each, which are others' where they are reversed."""
    order = range(count - 1, -1, -1) if reverse else range(count)
    return "".join(
        section(f"s{name}", 10_000 + EACH * location, EACH, **options)
        for name, location in enumerate(order)
    )


class Reactor(MemoryReactorClock):
    """A reactor without sockets, that measures its turns.

    :ivar longest: the processor time of the longest turn, in seconds.
    """

    longest = 0.0

    def turn(self) -> None:
        """Do what is due now, and not yet what comes of it."""
        began = time.thread_time()
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in filter(DelayedCall.active, due):
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
        self.longest = max(self.longest, time.thread_time() - began)


class Lab:
    """A daemon without sockets, and its file."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.registry: Registry = discover()
        self.reactor = Reactor()  # type: ignore[no-untyped-call]
        reactor = cast("IReactor", self.reactor)
        self.ledger = Ledger(self.reactor.seconds)
        context = ServiceContext(reactor, self.ledger, drain=5.0)
        file.write_text(text, encoding="ascii")
        old = finished(self._read())
        services = [self.registry.serve(spec, context) for spec in old.services]
        self.daemon = Daemon("lab", self.ledger, services, reactor, "memory", 0.0, print)
        for service in services:
            service.startService()
        self._reloader = Reloader(self.daemon, old, self._read, self.registry, context)
        self.daemon.reload_by(self._reloader.reload)

    def reload(self, text: str) -> list[Plan | Exception]:
        """Begin to follow another file; return where its end will be."""
        self.file.write_text(text, encoding="ascii")
        ends: list[Plan | Exception] = []
        reloading = self.daemon.reload()
        reloading.addCallbacks(ends.append, lambda failure: ends.append(failure.value))
        return ends

    def reloaded(self, text: str) -> Plan | Exception:
        """Follow another file; return how that ended."""
        ends = self.reload(text)
        while not ends:
            self.reactor.turn()
        return ends[0]

    def ports(self) -> dict[str, list[int | None]]:
        """Return where the services listen."""
        return {
            name: [one.address.port for one in service.record.listeners]
            for name, service in self.daemon.services.items()
        }

    def _read(self) -> Steps[Configuration]:
        return load_in_steps(self.file, self.registry.kinds, self.registry.replies)


@pytest.fixture
def new_lab(tmp_path: Path) -> Callable[[str], Lab]:
    return lambda text: Lab(tmp_path / "lab.ini", text)


@pytest.fixture
def _one_step_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 0.0)


@pytest.fixture
def _no_collections() -> Iterator[None]:
    """Have no collections: they go through all that the tests of this process have made."""
    gc.disable()
    yield
    gc.enable()


ONE = section("one", 7_000, 2)
TWO = section("two", 7_002, 2)
SWAPPED = section("one", 7_002, 2) + section("two", 7_000, 2)
RELOADS = {
    "nothing changed": sections(SERVICES),
    "one service changed": section("s0", 10_000, idle_timeout="1h")
    + sections(SERVICES).partition("[service:s1]")[1]
    + sections(SERVICES).partition("[service:s1]")[2],
    "every service changed": sections(SERVICES, idle_timeout="1h"),
    "ports swapped": sections(SERVICES, reverse=True),
    "1000 endpoints added": sections(SERVICES + 125),
    "1000 endpoints removed": sections(SERVICES - 125),
}


@pytest.mark.usefixtures("_no_collections")
@pytest.mark.parametrize("text", RELOADS.values(), ids=RELOADS)
def test_no_turn_of_a_reload_of_4000_endpoints_is_long(
    new_lab: Callable[[str], Lab], text: str
) -> None:
    before = sections(SERVICES)
    lab = new_lab(before)
    longest = []
    for _ in range(3):
        lab.reactor.longest = 0.0
        assert isinstance(lab.reloaded(text), Plan)
        longest.append(lab.reactor.longest)
        assert isinstance(lab.reloaded(before), Plan)
    assert min(longest) < LONGEST, longest


@pytest.mark.usefixtures("_one_step_each_turn")
def test_services_that_swap_ports_change_at_one_moment(new_lab: Callable[[str], Lab]) -> None:
    lab = new_lab(ONE + TWO)
    before = lab.ports()
    ends = lab.reload(SWAPPED)
    seen = [before]
    while not ends:
        lab.reactor.turn()
        if lab.ports() != seen[-1]:
            seen.append(lab.ports())
    assert seen == [before, {"one": before["two"], "two": before["one"]}]


@pytest.mark.usefixtures("_one_step_each_turn")
def test_what_is_stopped_or_started_during_a_reload_stays_so(
    new_lab: Callable[[str], Lab],
) -> None:
    """At whatever moment that happens."""
    turn, is_over = 0, False
    while not is_over:
        lab = new_lab(ONE + TWO)
        lab.daemon.stop("two")
        lab.reactor.turn()
        ends = lab.reload(SWAPPED)
        for _ in range(turn):
            lab.reactor.turn()
        is_over = bool(ends)
        lab.daemon.stop("one")
        lab.daemon.start("two")
        while not ends:
            lab.reactor.turn()
        assert isinstance(ends[0], Plan)
        assert lab.ports() == {"one": [], "two": [7_000, 7_001]}, turn
        turn += 1
    assert turn > 10


@pytest.mark.usefixtures("_one_step_each_turn")
def test_a_shutdown_during_a_reload_leaves_nothing_behind(new_lab: Callable[[str], Lab]) -> None:
    turn, refusals, is_over = 0, 0, False
    while not is_over:
        lab = new_lab(ONE + TWO)
        ends = lab.reload(ONE + section("two", 7_004, 2) + section("three", 7_002, 2))
        for _ in range(turn):
            lab.reactor.turn()
        is_over = bool(ends)
        stopped: list[None] = []
        lab.daemon.stopService().addCallback(stopped.append)
        while not (ends and stopped):
            lab.reactor.turn()
        refusals += "sockd is shutting down" in str(ends[0])
        assert not any(lab.ports().values())
        assert {record.state for record in lab.ledger.services.values()} == {State.STOPPED}
        turn += 1
    assert refusals > 10


@pytest.mark.usefixtures("_one_step_each_turn")
def test_a_reload_during_another_one_comes_after_it(new_lab: Callable[[str], Lab]) -> None:
    lab = new_lab(ONE)
    first = lab.reload(ONE + TWO)
    lab.reactor.turn()
    second = lab.reload(TWO)
    while not second:
        lab.reactor.turn()
        assert first or not second
    assert isinstance(first[0], Plan)
    assert lab.ports() == {"two": [7_002, 7_003]}


@pytest.mark.usefixtures("_one_step_each_turn")
def test_a_refused_reload_changes_nothing_at_any_moment(new_lab: Callable[[str], Lab]) -> None:
    lab = new_lab(ONE + TWO)
    before, names = lab.ports(), set(lab.ledger.services)
    ends = lab.reload(ONE + section("two", 7_004, 2) + section("three", 7_006, 2, kind="x"))
    while not ends:
        lab.reactor.turn()
        assert lab.ports() == before
    assert isinstance(ends[0], ConfigurationError)
    assert (lab.ports(), set(lab.ledger.services)) == (before, names)


def test_clients_are_served_while_a_daemon_reloads_4000_endpoints(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    text = section("probed", 0, 1) + "".join(
        section(f"s{number}", 0, max_connections=8) for number in range(SERVICES)
    )
    sockd = run_sockd(text)
    with connect(sockd.port("probed")) as client:
        count = 0
        sockd.send_signal(signal.SIGHUP)
        while "Reloaded: kept" not in sockd.output:
            assert ask(client, b"x") == b"x"
            count += 1
    assert count > 20
