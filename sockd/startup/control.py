"""Reloads and signals of a running daemon, and what the service manager is told of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.python.failure import Failure

from sockd.errors import SockdError
from sockd.process.hangup import Hangups, has_terminal, shells
from sockd.process.log_encoding import log_observer
from sockd.process.log_file import LogReopener, log_file
from sockd.process.signals import Action, Shutdown, Signals
from sockd.process.systemd import systemd_notifier
from sockd.support.logger import PartLogger

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sockd.daemon import Daemon
    from sockd.reactor import IReactor
    from sockd.reload.plan import Plan
    from sockd.reload.reloader import Reloader

_REFUSED = "; the last reload was refused, the log says why"

T = TypeVar("T")


def notify_service_manager(daemon: Daemon, reloader: Reloader, reactor: IReactor) -> None:
    """Have the daemon reload by a reloader, and report its state by sd_notify(3)."""
    notifier = systemd_notifier(os.environ, reactor)

    def reload() -> Deferred[Plan]:
        notifier.reloading()
        return reloader.reload().addBoth(report)

    def report(result: T) -> T:
        is_refused = isinstance(result, Failure)
        notifier.ready(_status_line(daemon) + (_REFUSED if is_refused else ""))
        return result

    daemon.reload_by(reload)
    reactor.callWhenRunning(lambda: notifier.ready(_status_line(daemon)))
    reactor.addSystemEventTrigger("before", "shutdown", notifier.stopping)


def follow_signals(daemon: Daemon, reactor: IReactor, twistd: Mapping[str, Any]) -> None:
    """Install the handlers of all signals.

    :param twistd: twistd's own options.
    :raise SystemExit: if the log file cannot be opened.
    """
    file = log_file(twistd)
    daemon.log_observer = log_observer(twistd, file)
    shutdown = Shutdown(reactor, reactor.stop, daemon.hurry)
    Signals(reactor, {Action.SHUT_DOWN: shutdown, Action.REOPEN: LogReopener(file)}).install()

    def reload() -> None:
        daemon.reload().addErrback(_log_unexpected)

    Hangups(reactor, has_terminal, shells(), reload, shutdown.begin).install()


def _status_line(daemon: Daemon) -> str:
    listening = [one for one in daemon.services.values() if one.record.listeners]
    return f"{daemon.name}: {len(listening)} of {len(daemon.services)} services listen"


def _log_unexpected(failure: Failure) -> None:
    """Log a failure that is not an error of the file, which is in the log already."""
    if not failure.check(SockdError):
        PartLogger("sockd").failure("The reload failed", failure)
