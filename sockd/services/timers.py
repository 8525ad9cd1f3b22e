"""The timers of a connection: idle timeout, lifetime and close deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sockd.model.reasons import EndReason

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from sockd.reactor import IReactor

IDLE_RECHECK = 0.05
"""The delay before a connection with unread input is checked for idleness again, in seconds."""


class TimedConnection(Protocol):
    """A connection that timers may end."""

    def idle_time(self) -> float:
        """Return the time since data was last received or sent, in seconds."""

    def has_unread_input(self) -> bool:
        """Return whether the kernel holds input that will be read soon."""

    def hang_up(self, reason: EndReason) -> None:
        """Close the connection soon."""


class ConnectionTimers:
    """The timers of one connection. Each runs at most once at a time."""

    __slots__ = ("_connection", "_deadline", "_idle", "_lifetime", "_reactor")

    def __init__(self, reactor: IReactor, connection: TimedConnection) -> None:
        self._reactor = reactor
        self._connection = connection
        self._idle: IDelayedCall | None = None
        self._lifetime: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None

    def start(self, idle_timeout: float, lifetime: float) -> None:
        """Start the idle timeout and the lifetime timer.

        Traffic does not restart the idle timer; it checks the idle time when it expires.

        :param idle_timeout: in seconds; 0: none.
        :param lifetime: in seconds; 0: unlimited.
        """
        if idle_timeout:
            self._idle = self._reactor.callLater(idle_timeout, self._check_idle, idle_timeout)
        if lifetime:
            self._lifetime = self._reactor.callLater(
                lifetime, self._connection.hang_up, EndReason.LIFETIME
            )

    def set_deadline(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function after a time; this replaces an earlier deadline."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._reactor.callLater(seconds, call)

    def cancel(self) -> None:
        """Stop all timers."""
        for call in (self._idle, self._lifetime, self._deadline):
            if call is not None and call.active():
                call.cancel()

    def _check_idle(self, timeout: float, is_sure: bool = False) -> None:
        """Close the connection if it is idle.

        After the process was suspended the kernel may hold unread input. A connection that looks
        idle is therefore checked again in the next reactor turn, and after :data:`IDLE_RECHECK`
        while it has unread input.
        """
        left = timeout - self._connection.idle_time()
        if left > 0:
            self._idle = self._reactor.callLater(left, self._check_idle, timeout)
        elif not is_sure:
            self._idle = self._reactor.callLater(0, self._check_idle, timeout, True)
        elif self._connection.has_unread_input():
            self._idle = self._reactor.callLater(IDLE_RECHECK, self._check_idle, timeout, True)
        else:
            self._connection.hang_up(EndReason.IDLE)
