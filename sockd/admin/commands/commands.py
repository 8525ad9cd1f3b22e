"""The commands of the admin shell. Each prints a table for people and returns nothing.

An unknown name or number is an error message of one line without a traceback. The length of a table
is limited, so that a command does not block the reactor with 20,000 connections.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from sockd import __version__
from sockd.admin.commands.capture import CaptureCommand
from sockd.admin.commands.command import Command, for_admins, for_all, help_text
from sockd.admin.commands.live import LiveCommands
from sockd.admin.prompt.console import Console
from sockd.errors import SockdError
from sockd.interfaces import IDaemon, INetworkService
from sockd.log.lesson import tour
from sockd.model.records import Connection, Listener, State
from sockd.render.fields import TABLE_FIELDS, cells, client_text, headings
from sockd.render.json_views import PortRow, PortsTable, connection_view, totals_view
from sockd.render.rows import (
    SERVICE_COLUMNS,
    listening_on,
    service_row,
)
from sockd.render.tables import pairs, seconds, table
from sockd.support.text import nearest, printable, quoted

DEFAULT_ROWS = 200
"""The default maximum number of rows of a table."""

COUNTED = 2000
"""The maximum number of connections that `ports()` counts."""


class Commands:
    """The commands of one session.

    :param clock: returns the time in seconds since the epoch.
    """

    def __init__(self, daemon: IDaemon, console: Console, clock: Callable[[], float]) -> None:
        self._daemon = daemon
        self._console = console
        self._clock = clock
        self._capture = CaptureCommand(daemon, console)
        self._live = LiveCommands(daemon, console)

    def table(self) -> tuple[Command, ...]:
        """Return all commands, in the order in which they are listed."""
        return (
            for_all(self.status),
            for_all(self.services),
            for_all(self.connections),
            for_all(self.connection),
            for_all(self.ports),
            for_all(self._live.top),
            for_all(self._live.watch),
            for_all(self.lesson),
            Command(self._capture, viewer_run=self._capture.__call__),
            for_admins(self.disconnect),
            for_admins(self.stop),
            for_admins(self.start),
            for_admins(self.reload),
            for_admins(self.commands),
        )

    def namespace(self) -> dict[str, object]:
        """Return the initial namespace of an admin's session."""
        return {"daemon": self._daemon, **{one.name: one.run for one in self.table()}}

    def status(self) -> None:
        """Show the daemon and its totals."""
        daemon = self._daemon
        totals = totals_view(daemon.ledger.services.values())
        state = "draining" if daemon.draining else "running"
        facts: list[tuple[str, object]] = [
            ("name", daemon.name),
            ("version", f"sockd {__version__}"),
            ("process", os.getpid()),
            ("reactor", daemon.reactor_name),
            ("state", state),
            ("uptime", seconds(self._clock() - daemon.started)),
            ("services", len(daemon.services)),
        ]
        self._console.say(pairs([*facts, *totals.items()]))

    def services(self) -> None:
        """Show the services: their listeners and counters."""
        rows = [service_row(service) for service in self._daemon.services.values()]
        self._console.say(table(SERVICE_COLUMNS, rows))

    def connections(self, service: str | None = None, limit: int = DEFAULT_ROWS) -> None:
        """Show open connections, oldest first; connections('NAME') shows those of one service."""
        if service is None:
            records = list(self._daemon.ledger.services.values())
            found: Iterable[Connection] = self._daemon.ledger.open_connections()
        elif (known := self._service(service)) is not None:
            records = [known.record]
            found = iter(list(islice(known.record.connections.values(), max(0, limit))))
        else:
            return
        total = sum(record.active for record in records)
        now = self._clock()
        rows = [cells(TABLE_FIELDS, one, now) for one in islice(found, max(0, limit))]
        self._console.say(table(headings(TABLE_FIELDS), rows) if total else "no open connections")
        if total > len(rows):
            more = f"… and {total - len(rows)} more; connections(limit={total}) shows them all"
            self._console.say(more)

    def connection(self, number: int) -> None:
        """Show the details of a connection: connection(ID)."""
        found = self._connection(number)
        if found is None:
            return
        tcp = self._daemon.tcp_info(found)
        view = connection_view(found, None)
        del view["tcp"]
        view |= {"local": found.local, "peer": found.peer, "via": found.via}
        kernel = [(f"tcp {name}", value) for name, value in (tcp or {}).items()]
        self._console.say(pairs([*view.items(), *kernel]))

    def ports(self, limit: int = DEFAULT_ROWS) -> None:
        """Show each server port with its clients: which ports differ and which are the same."""
        ledger = self._daemon.ledger
        ports = PortsTable(ledger.services.values())
        shown: dict[tuple[str, Listener], list[str]] = {}
        for number, found in enumerate(islice(ledger.open_connections(), COUNTED)):
            ports.add(found)
            if number < limit:
                lines = shown.setdefault((found.service.name, found.listener), [])
                lines.append(f"  {client_text(found)} → {found.local}")
        texts = [
            "\n".join(_port_lines(row, shown.get((row.service, row.listener), [])))
            for row in ports.rows()
        ]
        self._console.say("\n\n".join(texts) or "nothing listens")
        total = sum(record.active for record in ledger.services.values())
        if total > COUNTED:
            self._console.say(f"only the {COUNTED} oldest of {total} connections are counted")

    def lesson(self) -> None:
        """Show a short tour of the lab: commands to type, and what they show."""
        self._console.say("\n".join(tour(self._daemon.ledger.services.values())))

    def disconnect(self, number: int) -> None:
        """Close a connection: disconnect(ID)."""
        found = self._connection(number)
        if found is None:
            return
        if not self._daemon.disconnect(found.id):
            self._console.complain(f"connection {found.id} is already closed ({found.reason})")
            return
        self._console.say(f"closing connection {found.id}: {found.peer} on {found.local}")

    def stop(self, name: str) -> None:
        """Stop a service and let its connections finish: stop('NAME')."""
        service = self._service(name)
        if service is None:
            return
        record = service.record
        if record.state is State.STOPPED and not record.active:
            self._console.complain(f"{record.name} is already stopped")
            return
        stopping: Deferred[object] = maybeDeferred(self._daemon.stop, record.name)
        if record.active:
            drains = (
                f"{record.name} has stopped listening; {record.active} open connections may finish"
            )
            self._console.say(drains)
        self._report(stopping, lambda: _now(service))

    def start(self, name: str) -> None:
        """Start a stopped service again: start('NAME')."""
        service = self._service(name)
        if service is None:
            return
        record = service.record
        if record.listeners:
            self._console.complain(
                f"{record.name} already listens on {listening_on(record.listeners)}"
            )
            return
        starting: Deferred[object] = maybeDeferred(self._daemon.start, record.name)
        self._report(starting, lambda: _now(service))

    def reload(self) -> None:
        """Reload the configuration; if it is invalid, nothing changes."""
        reloading = maybeDeferred(self._daemon.reload)
        reloading.addCallbacks(
            lambda plan: self._console.say("\n".join(plan.lines())), self._complain_of
        )
        self._console.follow(reloading)

    def commands(self) -> None:
        """List the commands."""
        rows: list[tuple[str, object]] = [
            (f"{one.name}()", help_text(one.run)) for one in self.table()
        ]
        rows.append(("daemon", "The live object, for anything else."))
        rows.append(("exit()", "End the session, as Ctrl-D does; the daemon keeps running."))
        self._console.say(pairs(rows))

    def _service(self, name: object) -> INetworkService | None:
        """Return a service, or report the similar or known names."""
        service = self._daemon.services.get(name) if isinstance(name, str) else None
        if service is None:
            known = nearest(str(name), self._daemon.services)
            self._console.complain(f"no service {quoted(str(name))} ({known})")
        return service

    def _connection(self, number: object) -> Connection | None:
        """Return a connection that is open or in the history, or report how to find one."""
        found = self._daemon.ledger.find(number) if isinstance(number, int) else None
        if found is None:
            hint = "connections() shows the numbers"
            self._console.complain(f"no connection {quoted(str(number))[1:-1]} ({hint})")
        return found

    def _report(self, work: Deferred[object], done: Callable[[], str]) -> None:
        """Report the result of some work when it is done."""
        work.addCallbacks(lambda _: self._console.say(done()), self._complain_of)
        self._console.follow(work)

    def _complain_of(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, SockdError):
            self._console.complain(str(error))
        else:
            self._console.complain(printable(f"{type(error).__name__}: {error}"))


def _now(service: INetworkService) -> str:
    """Return the state of a service after a stop or a start, even if they overlap."""
    record = service.record
    if record.listeners:
        return f"{record.name} listens on {listening_on(record.listeners)}"
    if service.running and record.state is State.STOPPED:
        return f"{record.name} is starting; services() shows when it listens"
    return f"{record.name} is {record.state}"


def _port_lines(row: PortRow, lines: list[str]) -> Iterator[str]:
    """Return the lines of a port: some of its connections, and a summary of all."""
    yield f"{row.service}: {row.listener.transport} {row.listener.address}"
    yield from lines
    if row.connections > len(lines):
        yield f"  … and {row.connections - len(lines)} more"
    yield f"  {row.sentence()}"
