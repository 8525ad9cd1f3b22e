"""Status notifications to a supervisor: sd_notify(3), which systemd and others support.

Without ``$NOTIFY_SOCKET`` nothing is sent. Sending never blocks.
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
    """Sends status notifications.

    :param address: the path of the socket, or ``@`` and an abstract name; empty: send nothing.
    :param watchdog: the watchdog timeout of the supervisor in seconds; 0: none.
    """

    _log = PartLogger("sockd")

    def __init__(self, address: str, watchdog: float, reactor: IReactor) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = watchdog
        self._heartbeat = LoopingCall(self._send, "WATCHDOG=1")
        self._heartbeat.clock = reactor

    def ready(self, status: str) -> None:
        """Report that the daemon is ready, and start to send watchdog notifications.

        They are sent from the reactor, at half the timeout: the supervisor notices if it hangs.
        """
        self._send("READY=1", f"STATUS={printable(status)}", f"MAINPID={os.getpid()}")
        if self._watchdog and not self._heartbeat.running:
            self._heartbeat.start(self._watchdog / 2)

    def reloading(self) -> None:
        """Report that a reload has begun; :meth:`ready` reports its end."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Report that the shutdown has begun. Watchdog notifications continue during the drain."""
        self._send("STOPPING=1", "STATUS=draining")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), self._address)
        except OSError as error:
            self._log.warn("The supervisor cannot be notified: {error}", error=error.strerror)


def systemd_notifier(environment: MutableMapping[str, str], reactor: IReactor) -> SystemdNotifier:
    """Return a notifier, and remove its variables so that child processes do not inherit them."""
    address, interval, pid = (environment.pop(name, "") for name in _VARIABLES)
    is_watched = interval.isdecimal() and pid in ("", str(os.getpid()))
    is_known = address.startswith(("/", "@"))
    watchdog = int(interval) / 1_000_000 if is_watched else 0.0
    return SystemdNotifier(address if is_known else "", watchdog, reactor)
