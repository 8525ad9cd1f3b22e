"""The people at the door and in the shell: logged, given a time limit, and shown out at the end."""

from __future__ import annotations

from typing import Protocol

from twisted.internet import defer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger

from sockd.listeners import known_address
from sockd.reactor import IReactor
from sockd.text import printable

LOGIN_TIME = 120.0
"""How long a client may take to log in, in seconds."""

MOST_STRANGERS = 20
"""How many clients may be at the door at once without having logged in."""

_LONGEST_NAME = 64
_FAREWELL = 1.0


class Leaver(Protocol):
    """A connection that can be ended."""

    def leave(self) -> None:
        """End it in order."""

    def abort(self) -> None:
        """End it at once."""


class Guest:
    """One connection to the admin shell, from accept to close.

    :ivar is_in: whether somebody has logged in.
    :ivar is_gone: whether the connection is closed.
    """

    _log = Logger()

    def __init__(self, guests: Guests, connection: Leaver, way: str, peer: IAddress) -> None:
        self._guests = guests
        self.connection = connection
        self._way = way
        self._peer = known_address(peer)
        self._user = ""
        self.is_in = False
        self.is_gone = False
        self._deadline: IDelayedCall | None = guests.reactor.callLater(LOGIN_TIME, self._too_slow)

    def logged_in(self, user: bytes, method: bytes) -> None:
        """Take note of a login."""
        self.is_in = True
        self._user = _shown(user)
        self._stop_clock()
        self._tell("Admin login: {user} from {peer} over {way}, {method}", method=_shown(method))

    def refused(self, user: bytes, method: bytes) -> None:
        """Take note of a login that failed."""
        self._user = _shown(user)
        self._tell(
            "Admin login refused: {user} from {peer} over {way}, {method}", method=_shown(method)
        )

    def gone(self) -> None:
        """Take note that the connection is closed."""
        self.is_gone = True
        self._stop_clock()
        if self.is_in:
            self._tell("Admin logout: {user} from {peer} over {way}")
        self._guests.remove(self)

    def _too_slow(self) -> None:
        self._deadline = None
        self._tell("Admin login from {peer} over {way} took too long")
        self.connection.abort()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _tell(self, words: str, **fields: object) -> None:
        self._log.info(words, user=self._user, peer=self._peer, way=self._way, **fields)


class Guests:
    """All connections to the admin shell."""

    def __init__(self, reactor: IReactor) -> None:
        self.reactor = reactor
        self._present: dict[Guest, None] = {}
        self._empty_waiter: Deferred[None] | None = None

    def add(self, connection: Leaver, way: str, peer: IAddress) -> Guest | None:
        """Receive a connection; ``None``: there are too many strangers, it must go."""
        strangers = sum(not guest.is_in for guest in self._present)
        if strangers >= MOST_STRANGERS:
            return None
        guest = Guest(self, connection, way, peer)
        self._present[guest] = None
        return guest

    def remove(self, guest: Guest) -> None:
        """Forget a connection that is closed."""
        self._present.pop(guest, None)
        if not self._present and self._empty_waiter is not None:
            waiter, self._empty_waiter = self._empty_waiter, None
            waiter.callback(None)

    async def show_out(self) -> None:
        """End all connections; those that do not go are cut off."""
        for guest in list(self._present):
            guest.connection.leave()
        try:
            await self._emptied().addTimeout(_FAREWELL, self.reactor)
        except defer.TimeoutError:
            for guest in list(self._present):
                guest.connection.abort()

    def _emptied(self) -> Deferred[None]:
        if not self._present:
            return succeed(None)
        self._empty_waiter = Deferred(lambda _: self._forget_waiter())
        return self._empty_waiter

    def _forget_waiter(self) -> None:
        self._empty_waiter = None


def _shown(user: bytes) -> str:
    return printable(user.decode("utf-8", "backslashreplace")[:_LONGEST_NAME]) or "''"
