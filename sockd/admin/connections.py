"""Connections to the admin shell: their limits, timeouts and log lines."""

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
"""The timeout of the login, in seconds."""

REFUSALS = 30
"""The burst of refusals that are logged; after it, one per second is logged, the rest counted."""

LONGEST_COMMAND = 1000
"""The maximum length of a command in the log, in characters."""

_LONGEST_NAME = 64
_CLOSE_TIMEOUT = 1.0
"""The timeout of an orderly close, in seconds. Then the connection is aborted."""

_SCREEN_RESTORE_TIME = 0.2
"""The delay of a close after a live view, in seconds, so that the client restores its screen."""

_SHUTDOWN = "the daemon is shutting down"


class Disconnectable(Protocol):
    """A connection that can be closed."""

    def leave(self, why: str) -> None:
        """Send the reason to the client, and close the connection."""

    def abort(self) -> None:
        """Close the connection at once."""


class AdminConnection:
    """One connection to the admin shell, from accept to close.

    :param way: the protocol, for the log: ``ssh`` or ``telnet``.
    :ivar grant: the credential of the login; ``None`` before it.
    :ivar refusals: the number of refused logins.
    :ivar is_leaving: whether the connection is closing. Then further input is discarded.
    :ivar is_gone: whether the connection is closed.
    :ivar screens: the screens of the sessions. Their live views end before the connection does.
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
            LOGIN_TIME, self._login_timeout
        )
        self._idle: IDelayedCall | None = None
        self._leaving: IDelayedCall | None = None

    @property
    def is_in(self) -> bool:
        """Whether the client has logged in."""
        return self.grant is not None

    async def turn(self) -> bool:
        """Wait until a password may be checked; return whether it may be checked at all."""
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
        """Start a session after a successful login; return whether there is room for it.

        :param method: the method of the login, for the log.
        """
        self._user = _printable_user(grant.user)
        if grant.method == PASSWORD:
            forgives = grant.role is Role.ADMIN
            self._connections.attempts.succeeded(self._source, forgives=forgives)
        if not self._connections.has_room_for(grant.role):
            self._connections.refuse(f"{self._words}, {method}: too many sessions")
            return False
        self.grant = grant
        self._stop_clock()
        self.active()
        self._connections.tell(f"Admin login: {self._words}, {method}")
        self._connections.entered(grant)
        return True

    def refused(self, user: bytes, method: str) -> None:
        """Count and log a refused login."""
        self.refusals += 1
        self._user = _printable_user(user)
        self._connections.refuse(f"{self._words}, {method}")

    def runs(self, source: str) -> None:
        """Log a command."""
        shown = printable(source[:LONGEST_COMMAND])
        more = "…" if len(source) > LONGEST_COMMAND else ""
        self._connections.tell(f"Admin command: {self._words}: {shown}{more}")

    def interrupted(self, why: str) -> None:
        """Log that a command was interrupted."""
        self._connections.tell(f"Admin command interrupted: {self._words}: {why}")

    def active(self) -> None:
        """Restart the idle timeout after input."""
        timeout = self._connections.idle_timeout
        if self._idle is not None and timeout:
            self._idle.reset(timeout)
        elif self._idle is not None:
            self._idle.cancel()
            self._idle = None
        elif timeout and self.is_in and not (self.is_leaving or self.is_gone):
            self._idle = self._connections.reactor.callLater(timeout, self._idle_timeout)

    def revoke(self) -> None:
        """End the session because its credential was removed or changed."""
        self._connections.tell(f"Admin session revoked: {self._words}")
        self._close("your credentials have been revoked")

    def leave(self, why: str) -> None:
        """Close the connection in order, after the live views have restored the screens."""
        if self.is_leaving:
            return
        self.is_leaving = True
        has_view = any(screen.is_taken for screen in self.screens)
        for screen in list(self.screens):
            screen.close()
        if has_view:  # OpenSSH's client discards output that arrives just before the close
            self._leaving = self._connections.reactor.callLater(
                _SCREEN_RESTORE_TIME, self._leave, why
            )
        else:
            self.transport.leave(why)

    def _leave(self, why: str) -> None:
        self._leaving = None
        self.transport.leave(why)

    def broke_off(self, why: str) -> None:
        """Log that the client violated the protocol."""
        self._connections.complain(
            f"Admin connection aborted: {self._peer} over {self._way}: {why}"
        )

    def gone(self) -> None:
        """Clean up after the connection was closed."""
        self.is_gone = True
        self._stop_clock()
        if self._turn is not None:
            self._turn.cancel()
        if self.is_in:
            self._connections.tell(f"Admin logout: {self._words}")
        self._connections.remove(self)

    @property
    def _words(self) -> str:
        """The user, the address and the protocol, for the log."""
        is_viewer = self.grant is not None and self.grant.role is Role.VIEWER
        role = " (viewer)" if is_viewer else ""
        return f"{self._user}{role} from {self._peer} over {self._way}"

    def _login_timeout(self) -> None:
        self._deadline = None
        self._connections.complain(f"Admin login timeout: {self._peer} over {self._way}")
        self.transport.abort()

    def _idle_timeout(self) -> None:
        self._idle = None
        self._connections.tell(f"Admin idle timeout: {self._words}")
        self._close(f"no input for {seconds(self._connections.idle_timeout)}")

    def _close(self, why: str) -> None:
        """End the session in order, and abort the connection if that takes too long."""
        if not self.is_leaving:
            self._stop_clock()
            self.leave(why)
            self._deadline = self._connections.reactor.callLater(_CLOSE_TIMEOUT, self._abort)

    def _abort(self) -> None:
        self._deadline = None
        self.transport.abort()

    def _stop_clock(self) -> None:
        for timer in (self._deadline, self._idle, self._leaving):
            if timer is not None:
                timer.cancel()
        self._deadline = self._idle = self._leaving = None


class AdminConnections:
    """All connections to the admin shell.

    :param max_sessions: the maximum number of sessions. Viewers leave one of them to an admin.
    :param idle_timeout: the maximum time without input, in seconds; 0: no limit.
    :param entered: called with the grant of each login.
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
        """Add a connection. Return ``None`` if too many are unauthenticated; it must be closed."""
        unauthenticated = sum(not connection.is_in for connection in self._present)
        if unauthenticated >= MAX_UNAUTHENTICATED:
            self.complain(
                f"Admin connection refused: {known_address(peer)} over {way}:"
                " too many logins are pending"
            )
            return None
        connection = AdminConnection(self, transport, way, peer)
        self._present[connection] = None
        return connection

    def has_room_for(self, role: Role) -> bool:
        """Return whether one more session is allowed."""
        sessions = sum(connection.is_in for connection in self._present)
        reserved = 1 if role is Role.VIEWER and self.max_sessions > 1 else 0
        return sessions < self.max_sessions - reserved

    def change(
        self, max_sessions: int, idle_timeout: float, holds: Callable[[Grant], bool]
    ) -> None:
        """Apply new limits, and end the sessions whose grants are not valid any more.

        Sessions above a lower ``max_sessions`` stay open. A different ``idle_timeout`` restarts the
        timeout of all sessions.

        :param holds: returns whether a grant is still valid.
        """
        is_new_timeout = idle_timeout != self.idle_timeout
        self.max_sessions, self.idle_timeout = max_sessions, idle_timeout
        for connection in list(self._present):
            if connection.grant is not None and not holds(connection.grant):
                connection.revoke()
            elif is_new_timeout:
                connection.active()

    def tell(self, words: str) -> None:
        """Log a line."""
        self._log.info("{words}", words=words)

    def refuse(self, words: str) -> None:
        """Log a refused login."""
        self.complain(f"Admin login refused: {words}")

    def complain(self, words: str) -> None:
        """Log a line that unauthenticated clients can cause, within the rate limit."""
        if not self._complaints.allows():
            return
        missed = self._complaints.take_missed()
        if missed:
            self.tell(f"Admin: {missed} similar lines were suppressed")
        self.tell(words)

    def remove(self, connection: AdminConnection) -> None:
        """Remove a closed connection."""
        self._present.pop(connection, None)
        if not self._present and self._empty_waiter is not None:
            waiter, self._empty_waiter = self._empty_waiter, None
            waiter.callback(None)

    async def show_out(self) -> None:
        """Close all connections in order, and abort those that take too long."""
        for connection in list(self._present):
            connection.leave(_SHUTDOWN)
        try:
            await self._emptied().addTimeout(_CLOSE_TIMEOUT, self.reactor)
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
