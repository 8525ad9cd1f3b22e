"""Tells a supervisor how the daemon fares: sd_notify(3), which is systemd's and others speak too.

Without ``$NOTIFY_SOCKET`` nobody is told. A supervisor that does not listen holds nobody up.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

from twisted.internet.task import LoopingCall

from sockd.reactor import IReactor
from sockd.support.logger import PartLogger
from sockd.support.text import printable

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class SystemdNotifier:
    """Whoever started the process and wants to know.

    :param address: the path of its socket, or an abstract name behind ``@``; empty: nobody.
    :param watchdog: after how many seconds without a sign it ends the process; 0: never.
    """

    _log = PartLogger("sockd")

    def __init__(self, address: str, watchdog: float, reactor: IReactor) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = watchdog
        self._heartbeat = LoopingCall(self._tell, "WATCHDOG=1")
        self._heartbeat.clock = reactor

    def ready(self, status: str) -> None:
        """Say that everything is up; from the first time on, give a sign of life.

        It comes from the reactor, twice as often as it must: one that is stuck is noticed.
        """
        self._tell("READY=1", f"STATUS={printable(status)}", f"MAINPID={os.getpid()}")
        if self._watchdog and not self._heartbeat.running:
            self._heartbeat.start(self._watchdog / 2)

    def reloading(self) -> None:
        """Say that the configuration is read again; :meth:`ready` says that this is over."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Say that the shutdown has begun; signs of life go on while connections drain."""
        self._tell("STOPPING=1", "STATUS=draining")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
                teller.setblocking(False)
                teller.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), self._address)
        except OSError as error:
            self._log.warn("The supervisor cannot be told: {error}", error=error.strerror)


def systemd_notifier(environment: MutableMapping[str, str], reactor: IReactor) -> SystemdNotifier:
    """Return who is to be told, and take the variables out: they are not for our children."""
    address, interval, pid = (environment.pop(name, "") for name in _VARIABLES)
    is_watched = interval.isdecimal() and pid in ("", str(os.getpid()))
    is_known = address.startswith(("/", "@"))
    watchdog = int(interval) / 1_000_000 if is_watched else 0.0
    return SystemdNotifier(address if is_known else "", watchdog, reactor)
