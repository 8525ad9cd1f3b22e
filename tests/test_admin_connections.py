"""Connections to the admin shell: their limits, timeouts and log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from sockd.admin.auth.grants import KEY, PASSWORD, Grant
from sockd.admin.auth.roles import Role
from sockd.admin.connections import (
    LOGIN_TIME,
    LONGEST_COMMAND,
    REFUSALS,
    AdminConnection,
    AdminConnections,
)
from sockd.admin.descriptors import MAX_UNAUTHENTICATED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sockd.reactor import IReactor

PEER = IPv4Address("TCP", "192.0.2.1", 1234)


def grant(user: bytes, role: Role = Role.ADMIN, method: str = PASSWORD) -> Grant:
    return Grant(user, method, b"evidence of " + user, role)


class FakeConnection:
    """A connection that goes when it is told to, or not."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def leave(self, why: str) -> None:
        """Record the call."""
        self.told.append("leave")

    def abort(self) -> None:
        """Record the call."""
        self.told.append("abort")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections(clock: Clock) -> AdminConnections:
    return AdminConnections(cast("IReactor", clock))


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if str(event.get("log_namespace", "")).startswith("sockd.admin"):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_logins_refusals_and_logouts_are_logged(
    connections: AdminConnections, log: list[str]
) -> None:
    connection = connections.add(FakeConnection(), "ssh", PEER)
    assert connection is not None
    connection.refused(b"root\x1b[2J\n", "password")
    connection.logged_in(grant(b"admin", Role.ADMIN, KEY), "publickey")
    connection.gone()
    assert log == [
        "Admin login refused: root\\x1b[2J\\n from 192.0.2.1:1234 over ssh, password",
        "Admin login: admin from 192.0.2.1:1234 over ssh, publickey",
        "Admin logout: admin from 192.0.2.1:1234 over ssh",
    ]


def test_names_that_are_no_text_or_too_long_are_logged_fit_to_read(
    connections: AdminConnections, log: list[str]
) -> None:
    connection = connections.add(FakeConnection(), "ssh", PEER)
    assert connection is not None
    connection.refused(b"\xff{user}", "password")
    connection.refused(b"", "password")
    connection.refused(b"x" * 10_000, "password")
    assert log[0].startswith("Admin login refused: \\xff{user} from")
    assert log[1].startswith("Admin login refused: '' from")
    assert len(log[2]) < 200


def test_who_never_logs_in_has_to_go(
    connections: AdminConnections, clock: Clock, log: list[str]
) -> None:
    transport = FakeConnection()
    connection = connections.add(transport, "telnet", PEER)
    clock.advance(LOGIN_TIME - 1)
    assert transport.told == []
    clock.advance(1)
    assert transport.told == ["abort"]
    assert log == ["Admin login timeout: 192.0.2.1:1234 over telnet"]
    assert connection is not None
    connection.gone()
    assert len(log) == 1


def test_who_is_in_may_stay(connections: AdminConnections, clock: Clock) -> None:
    transport = FakeConnection()
    connection = connections.add(transport, "ssh", PEER)
    assert connection is not None
    connection.logged_in(grant(b"admin"), "password")
    clock.advance(LOGIN_TIME * 10)
    assert transport.told == []


def test_too_many_strangers_are_not_let_near_the_door(connections: AdminConnections) -> None:
    strangers = [connections.add(FakeConnection(), "ssh", PEER) for _ in range(MAX_UNAUTHENTICATED)]
    assert connections.add(FakeConnection(), "ssh", PEER) is None
    assert strangers[0] is not None
    strangers[0].logged_in(grant(b"admin"), "password")
    assert connections.add(FakeConnection(), "ssh", PEER) is not None


def test_at_the_end_all_are_asked_to_leave(connections: AdminConnections) -> None:
    transport = FakeConnection()
    connection = connections.add(transport, "ssh", PEER)
    ended: list[None] = []
    Deferred.fromCoroutine(connections.show_out()).addCallback(ended.append)
    assert transport.told == ["leave"]
    assert not ended
    assert connection is not None
    connection.gone()
    assert ended == [None]


def test_who_does_not_leave_is_cut_off(connections: AdminConnections, clock: Clock) -> None:
    transport = FakeConnection()
    connection = connections.add(transport, "ssh", PEER)
    ended: list[None] = []
    Deferred.fromCoroutine(connections.show_out()).addCallback(ended.append)
    clock.advance(5)
    assert transport.told == ["leave", "abort"]
    assert ended == [None]
    assert connection is not None
    connection.gone()


def test_an_empty_house_closes_at_once(connections: AdminConnections) -> None:
    ended: list[None] = []
    Deferred.fromCoroutine(connections.show_out()).addCallback(ended.append)
    assert ended == [None]


def test_commands_are_logged_fit_to_read_and_within_bounds(
    connections: AdminConnections, log: list[str]
) -> None:
    connection = connections.add(FakeConnection(), "ssh", PEER)
    assert connection is not None
    connection.logged_in(grant(b"mary", Role.VIEWER), "password")
    connection.runs("services()\x1b[2J")
    connection.runs("x" * 10_000)
    who = "mary (viewer) from 192.0.2.1:1234 over ssh"
    assert log[0] == f"Admin login: {who}, password"
    assert log[1] == f"Admin command: {who}: services()\\x1b[2J"
    assert log[2] == f"Admin command: {who}: {'x' * LONGEST_COMMAND}…"


def test_many_refusals_do_not_fill_the_log(
    connections: AdminConnections, clock: Clock, log: list[str]
) -> None:
    connection = connections.add(FakeConnection(), "ssh", PEER)
    assert connection is not None
    for _ in range(REFUSALS + 100):
        connection.refused(b"root", "password")
    assert len(log) == REFUSALS
    clock.advance(1)
    connection.refused(b"root", "password")
    assert log[REFUSALS:] == [
        "Admin: 100 similar lines were suppressed",
        "Admin login refused: root from 192.0.2.1:1234 over ssh, password",
    ]


def test_viewers_leave_one_place_to_an_admin(clock: Clock, log: list[str]) -> None:
    connections = AdminConnections(cast("IReactor", clock), max_sessions=2)

    def log_in(role: Role) -> bool:
        connection = connections.add(FakeConnection(), "ssh", PEER)
        assert connection is not None
        return connection.logged_in(grant(b"somebody", role), "password")

    logins = [log_in(role) for role in (Role.VIEWER, Role.VIEWER, Role.ADMIN, Role.ADMIN)]
    assert logins == [True, False, True, False]
    assert log[1].endswith("password: too many sessions")


def test_one_session_may_be_anybodys(clock: Clock) -> None:
    connections = AdminConnections(cast("IReactor", clock), max_sessions=1)
    assert connections.has_room_for(Role.VIEWER)


def test_who_is_silent_is_shown_out_and_then_cut_off(clock: Clock, log: list[str]) -> None:
    connections = AdminConnections(cast("IReactor", clock), idle_timeout=60)
    transport = FakeConnection()
    connection = connections.add(transport, "ssh", PEER)
    assert connection is not None
    connection.active()
    connection.logged_in(grant(b"admin"), "password")
    clock.advance(59)
    connection.active()
    clock.advance(59)
    assert transport.told == []
    clock.advance(1)
    assert transport.told == ["leave"]
    assert log[-1] == "Admin idle timeout: admin from 192.0.2.1:1234 over ssh"
    clock.advance(5)
    assert transport.told == ["leave", "abort"]
    connection.gone()
    assert clock.getDelayedCalls() == []


class House:
    """An admin and a viewer who are logged in."""

    def __init__(self, connections: AdminConnections) -> None:
        self.connections = connections
        self.transports = [FakeConnection(), FakeConnection()]
        admin, viewer = (connections.add(one, "ssh", PEER) for one in self.transports)
        assert admin is not None
        assert viewer is not None
        self.admin, self.viewer = admin, viewer
        admin.logged_in(grant(b"admin"), "password")
        viewer.logged_in(grant(b"mary", Role.VIEWER), "password")

    def told(self) -> list[list[str]]:
        """Return what became of the two connections."""
        return [one.told for one in self.transports]

    def change(self, *holding: Grant, most: int = 10, idle: float = 0.0) -> None:
        """Reload."""
        self.connections.change(most, idle, holding.__contains__)


def test_a_session_whose_grant_is_gone_is_ended_and_logged(
    connections: AdminConnections, clock: Clock, log: list[str]
) -> None:
    house = House(connections)
    house.change(grant(b"admin"))
    assert house.told() == [[], ["leave"]]
    assert log[2:] == ["Admin session revoked: mary (viewer) from 192.0.2.1:1234 over ssh"]
    clock.advance(5)
    assert house.told() == [[], ["leave", "abort"]]
    house.viewer.gone()
    assert log[3:] == ["Admin logout: mary (viewer) from 192.0.2.1:1234 over ssh"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "other",
    [
        Grant(b"admin", PASSWORD, b"another hash", Role.ADMIN),
        grant(b"admin", Role.VIEWER),
        grant(b"admin", method=KEY),
        grant(b"root"),
    ],
    ids=["password", "role", "method", "user"],
)
def test_a_session_goes_on_with_the_very_grant_that_it_began_with_and_no_other(
    connections: AdminConnections, other: Grant
) -> None:
    house = House(connections)
    house.change(other, grant(b"mary", Role.VIEWER))
    assert house.told() == [["leave"], []]


def test_what_still_arrives_from_a_session_that_is_ended_is_dropped(
    connections: AdminConnections,
) -> None:
    house = House(connections)
    house.change()
    assert house.admin.is_leaving
    house.change()
    assert house.told() == [["leave"], ["leave"]]


def test_who_has_not_logged_in_yet_is_not_revoked(connections: AdminConnections) -> None:
    transport = FakeConnection()
    connection = connections.add(transport, "ssh", PEER)
    assert connection is not None
    connections.change(10, 60.0, lambda _: False)
    assert transport.told == []
    assert not connection.is_leaving


def test_sessions_follow_another_idle_time(connections: AdminConnections, clock: Clock) -> None:
    house = House(connections)
    everybody = grant(b"admin"), grant(b"mary", Role.VIEWER)
    house.change(*everybody, idle=60)
    clock.advance(50)
    house.change(*everybody, idle=60)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [60, 60]
    house.change(*everybody, idle=30)
    clock.advance(29)
    assert house.told() == [[], []]
    house.change(*everybody, idle=0)
    assert clock.getDelayedCalls() == []
    house.change(*everybody, idle=10)
    clock.advance(10)
    assert house.told() == [["leave"], ["leave"]]


def test_sessions_above_a_lower_limit_stay_and_no_more_come(connections: AdminConnections) -> None:
    house = House(connections)
    house.change(grant(b"admin"), grant(b"mary", Role.VIEWER), most=1)
    assert house.told() == [[], []]
    assert not connections.has_room_for(Role.ADMIN)


def test_each_login_is_told(clock: Clock) -> None:
    entered: list[Grant] = []
    house = House(AdminConnections(cast("IReactor", clock), entered=entered.append))
    assert entered == [house.admin.grant, house.viewer.grant]


def turns(connection: AdminConnection, times: int) -> list[bool]:
    """Return what will hold the verdicts."""
    verdicts: list[bool] = []
    for _ in range(times):
        Deferred.fromCoroutine(connection.turn()).addCallback(verdicts.append)
    return verdicts


def test_a_password_waits_for_its_turn(connections: AdminConnections, clock: Clock) -> None:
    first, second = (connections.add(FakeConnection(), "ssh", PEER) for _ in range(2))
    assert first is not None
    assert second is not None
    assert turns(first, 1) == [True]
    waiting = turns(second, 1)
    assert waiting == []
    clock.advance(0.5)
    assert waiting == [True]


def test_who_is_gone_has_no_turn_and_leaves_nothing_behind(
    connections: AdminConnections, clock: Clock
) -> None:
    connection = connections.add(FakeConnection(), "ssh", PEER)
    assert connection is not None
    verdicts = turns(connection, 3)
    assert verdicts == [True, False]
    connection.gone()
    assert verdicts == [True, False, False]
    assert turns(connection, 1) == [False]
    assert clock.getDelayedCalls() == []


def test_a_right_password_of_an_admin_ends_the_waiting(connections: AdminConnections) -> None:
    connection = connections.add(FakeConnection(), "ssh", PEER)
    assert connection is not None
    assert turns(connection, 1) == [True]
    connection.logged_in(grant(b"admin"), "password")
    assert turns(connection, 1) == [True]
