"""The people at the door and in the shell: logged, counted, timed, and shown out at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.task import deferLater

from sockd.admin.auth.attempts import Attempts, attempt_source
from sockd.admin.auth.grants import PASSWORD, Grant
from sockd.admin.auth.roles import Role
from sockd.admin.descriptors import MAX_UNAUTHENTICATED
from sockd.admin.prompt.screen import Screen
from sockd.admin.throttle import Throttle
from sockd.net.server_endpoints import known_address
from sockd.reactor import IReactor
from sockd.render.tables import seconds
from sockd.support.logger import PartLogger
from sockd.support.text import printable

LOGIN_TIME = 120.0
"""How long a client may take to log in, in seconds, however slowly it sends."""

REFUSALS = 30
"""How many refusals in a row the log tells; after that one a second, and a count of the others."""

LONGEST_COMMAND = 1000
"""How much of a command the log tells, in characters."""

_LONGEST_NAME = 64
_FAREWELL = 1.0
_LAST_LOOK = 0.2
"""How long a terminal has to show that a live view is over, in seconds."""

_STOPS = "the daemon stops"


class Disconnectable(Protocol):
    """A connection that can be ended."""

    def leave(self, why: str) -> None:
        """Say why, and end it in order."""

    def abort(self) -> None:
        """End it at once."""


class AdminConnection:
    """One connection to the admin shell, from accept to close.

    :ivar grant: what the client has logged in with; ``None`` before that.
    :ivar refusals: how many logins were refused.
    :ivar is_leaving: whether the connection is being closed: what still arrives is dropped.
    :ivar is_gone: whether the connection is closed.
    :ivar screens: where live views may be shown, which end before the connection does.
    """

    def __init__(
        self, connections: AdminConnections, transport: Disconnectable, way: str, peer: IAddress
    ) -> None:
        self._connections = connections
        self.transport = transport
        self._way = way
        self._peer = known_address(peer)
        self._source = attempt_source(self._peer)
        self._user = ""
        self.grant: Grant | None = None
        self.refusals = 0
        self.is_leaving = False
        self.is_gone = False
        self.screens: set[Screen] = set()
        self._turn: Deferred[None] | None = None
        self._deadline: IDelayedCall | None = connections.reactor.callLater(
            LOGIN_TIME, self._too_slow
        )
        self._idle: IDelayedCall | None = None
        self._leaving: IDelayedCall | None = None

    @property
    def is_in(self) -> bool:
        """Whether somebody has logged in."""
        return self.grant is not None

    async def turn(self) -> bool:
        """Wait until a password may be judged; return whether it may be at all."""
        wait = self._connections.attempts.reserve(self._source)
        if wait is None or self._turn is not None or self.is_gone:
            return False
        if not wait:
            return True
        self._turn = deferLater(self._connections.reactor, wait)
        try:
            await self._turn
        except CancelledError:
            return False
        finally:
            self._turn = None
        return True

    def logged_in(self, grant: Grant, method: str) -> bool:
        """Take note of a login; return whether there is room for one more.

        :param method: how the log describes it.
        """
        self._user = _printable_user(grant.user)
        if grant.method == PASSWORD:
            forgives = grant.role is Role.ADMIN
            self._connections.attempts.succeeded(self._source, forgives=forgives)
        if not self._connections.has_room_for(grant.role):
            self._connections.refuse(f"{self._words}, {method}: all sessions are taken")
            return False
        self.grant = grant
        self._stop_clock()
        self.active()
        self._connections.tell(f"Admin login: {self._words}, {method}")
        self._connections.entered(grant)
        return True

    def refused(self, user: bytes, method: str) -> None:
        """Take note of a login that failed."""
        self.refusals += 1
        self._user = _printable_user(user)
        self._connections.refuse(f"{self._words}, {method}")

    def runs(self, source: str) -> None:
        """Take note of a command."""
        shown = printable(source[:LONGEST_COMMAND])
        more = "…" if len(source) > LONGEST_COMMAND else ""
        self._connections.tell(f"Admin command: {self._words}: {shown}{more}")

    def interrupted(self, why: str) -> None:
        """Write into the log that a command was interrupted."""
        self._connections.tell(f"Admin command interrupted: {self._words}: {why}")

    def active(self) -> None:
        """Take note that the person has sent something: the idle time begins anew."""
        timeout = self._connections.idle_timeout
        if self._idle is not None and timeout:
            self._idle.reset(timeout)
        elif self._idle is not None:
            self._idle.cancel()
            self._idle = None
        elif timeout and self.is_in and not (self.is_leaving or self.is_gone):
            self._idle = self._connections.reactor.callLater(timeout, self._too_idle)

    def revoke(self) -> None:
        """End the session at once: the credential that it began with is gone or has changed."""
        self._connections.tell(f"Admin session revoked: {self._words}")
        self._show_out("your login is not valid any more")

    def leave(self, why: str) -> None:
        """End the connection in order; the terminals are as they were before.

        OpenSSH's client shows nothing any more of what comes just before the end.
        """
        if self.is_leaving:
            return
        self.is_leaving = True
        is_looking = any(screen.is_taken for screen in self.screens)
        for screen in list(self.screens):
            screen.close()
        if is_looking:
            self._leaving = self._connections.reactor.callLater(_LAST_LOOK, self._leave, why)
        else:
            self.transport.leave(why)

    def _leave(self, why: str) -> None:
        self._leaving = None
        self.transport.leave(why)

    def broke_off(self, why: str) -> None:
        """Take note that what the client sends makes no sense."""
        self._connections.complain(f"Admin client {self._peer} over {self._way} is cut off: {why}")

    def gone(self) -> None:
        """Take note that the connection is closed."""
        self.is_gone = True
        self._stop_clock()
        if self._turn is not None:
            self._turn.cancel()
        if self.is_in:
            self._connections.tell(f"Admin logout: {self._words}")
        self._connections.remove(self)

    @property
    def _words(self) -> str:
        """Who it is, where from and how."""
        is_viewer = self.grant is not None and self.grant.role is Role.VIEWER
        role = " (viewer)" if is_viewer else ""
        return f"{self._user}{role} from {self._peer} over {self._way}"

    def _too_slow(self) -> None:
        self._deadline = None
        self._connections.complain(f"Admin login from {self._peer} over {self._way} took too long")
        self.transport.abort()

    def _too_idle(self) -> None:
        self._idle = None
        self._connections.tell(f"Admin idle: {self._words}")
        self._show_out(f"no key was pressed for {seconds(self._connections.idle_timeout)}")

    def _show_out(self, why: str) -> None:
        """End the session in order, and cut it off if that takes too long."""
        if not self.is_leaving:
            self._stop_clock()
            self.leave(why)
            self._deadline = self._connections.reactor.callLater(_FAREWELL, self._cut_off)

    def _cut_off(self) -> None:
        self._deadline = None
        self.transport.abort()

    def _stop_clock(self) -> None:
        for timer in (self._deadline, self._idle, self._leaving):
            if timer is not None:
                timer.cancel()
        self._deadline = self._idle = self._leaving = None


class AdminConnections:
    """All connections to the admin shell.

    :param max_sessions: how many may be logged in at once; viewers leave one place to an admin.
    :param idle_timeout: how long one who is in may be silent, in seconds; 0: for ever.
    :param entered: is told of each login.
    """

    _log = PartLogger("sockd.admin")

    def __init__(
        self,
        reactor: IReactor,
        max_sessions: int = 10,
        idle_timeout: float = 0.0,
        entered: Callable[[Grant], object] = bool,
    ) -> None:
        self.reactor = reactor
        self.entered = entered
        self.max_sessions = max_sessions
        self.idle_timeout = idle_timeout
        self.attempts = Attempts(reactor.seconds)
        self._complaints = Throttle(reactor.seconds, REFUSALS, 1.0)
        self._present: dict[AdminConnection, None] = {}
        self._empty_waiter: Deferred[None] | None = None

    def add(self, transport: Disconnectable, way: str, peer: IAddress) -> AdminConnection | None:
        """Receive a connection; ``None``: there are too many strangers, it must go."""
        strangers = sum(not connection.is_in for connection in self._present)
        if strangers >= MAX_UNAUTHENTICATED:
            self.complain(f"Admin door is full: {known_address(peer)} over {way} was turned away")
            return None
        connection = AdminConnection(self, transport, way, peer)
        self._present[connection] = None
        return connection

    def has_room_for(self, role: Role) -> bool:
        """Return whether one more may be in."""
        inside = sum(connection.is_in for connection in self._present)
        kept = 1 if role is Role.VIEWER and self.max_sessions > 1 else 0
        return inside < self.max_sessions - kept

    def change(
        self, max_sessions: int, idle_timeout: float, holds: Callable[[Grant], bool]
    ) -> None:
        """Follow new limits, and end the sessions whose grants do not hold any more.

        Sessions above a lower ``max_sessions`` stay. Under another ``idle_timeout`` the idle time
        of all begins anew.
        """
        begins_anew = idle_timeout != self.idle_timeout
        self.max_sessions, self.idle_timeout = max_sessions, idle_timeout
        for connection in list(self._present):
            if connection.grant is not None and not holds(connection.grant):
                connection.revoke()
            elif begins_anew:
                connection.active()

    def tell(self, words: str) -> None:
        """Write a line into the log."""
        self._log.info("{words}", words=words)

    def refuse(self, words: str) -> None:
        """Write into the log that somebody was not let in."""
        self.complain(f"Admin login refused: {words}")

    def complain(self, words: str) -> None:
        """Write a line that strangers can cause: not more of them than a log can take."""
        if not self._complaints.allows():
            return
        missed = self._complaints.take_missed()
        if missed:
            self.tell(f"Admin: {missed} lines like the next one were left out")
        self.tell(words)

    def remove(self, connection: AdminConnection) -> None:
        """Forget a connection that is closed."""
        self._present.pop(connection, None)
        if not self._present and self._empty_waiter is not None:
            waiter, self._empty_waiter = self._empty_waiter, None
            waiter.callback(None)

    async def show_out(self) -> None:
        """End all connections; those that do not go are cut off."""
        for connection in list(self._present):
            connection.leave(_STOPS)
        try:
            await self._emptied().addTimeout(_FAREWELL, self.reactor)
        except defer.TimeoutError:
            for connection in list(self._present):
                connection.transport.abort()

    def _emptied(self) -> Deferred[None]:
        if not self._present:
            return succeed(None)
        self._empty_waiter = Deferred(lambda _: self._forget_waiter())
        return self._empty_waiter

    def _forget_waiter(self) -> None:
        self._empty_waiter = None


def _printable_user(user: bytes) -> str:
    return printable(user.decode("utf-8", "backslashreplace")[:_LONGEST_NAME]) or "''"
