"""The paths of the stats endpoint, and the answer of each of them.

It reads the daemon and uses no socket: it maps a target to an answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

import sockd
from sockd.interfaces import IDaemon, INetworkService
from sockd.model.ledger import Clock
from sockd.model.records import Connection, State
from sockd.render.json_views import (
    JsonObject,
    PortsTable,
    connection_view,
    service_view,
    totals_view,
)
from sockd.stats.captures import live_answer, status_answer
from sockd.stats.document import HTML_TYPE, LivePage
from sockd.stats.events.stream import EventStream
from sockd.stats.http.answers import (
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TEXT,
    Answer,
    RequestError,
    json_answer,
)
from sockd.stats.http.formats import VARY, Format, format_of, preferred
from sockd.stats.http.query import parse_query, single_values
from sockd.stats.http.target import Target
from sockd.stats.listings import connections_listing, ports_listing, services_listing
from sockd.stats.metrics.scrape import MetricsEndpoint
from sockd.stats.slices import Selection, connection_slices, object_slices, port_slices
from sockd.support.text import rfc3339

_INDEX = """\
sockd {version}: {name}

/                  in a browser, the live page
/health            whether all services listen
/stats             the daemon, its services and their totals
/services          the services
/services/NAME     one of them
/connections       the connections: ?service= ?peer=HOST ?state=open|closed|all ?limit= ?after=ID
/connections/ID    one connection, open or in the history
/ports             which ports stay the same and which change from connection to connection
/events            events as they happen (server-sent events)
/metrics           metrics for Prometheus
/capture           the state of the packet capture, and its files
/capture.pcapng    a live capture, for `wireshark -k -i -`

Services, connections and ports are JSON by default; ?format=text and ?format=csv return tables.
"""

_MAX_DIGITS = 18
"""The maximum length of the number of a connection; longer ones are not converted."""

Page = Callable[[Target], Answer]
ItemPage = Callable[[str], Answer]


class Routes:
    """Answers requests about a daemon.

    :param clock: returns the time in seconds since the epoch.
    """

    def __init__(
        self, daemon: IDaemon, clock: Clock, events: EventStream, metrics: MetricsEndpoint
    ) -> None:
        self._daemon = daemon
        self._events = events
        self._live_page = LivePage()
        self._clock = clock
        self._pages: Mapping[str, Page] = MappingProxyType(
            {
                "": self._index,
                "health": self._health,
                "stats": self._stats,
                "services": self._services,
                "connections": self._connections,
                "ports": self._ports,
                "events": self._stream,
                "metrics": lambda target: metrics.answer(target.accept),
                "capture": lambda _: status_answer(daemon.capture),
                "capture.pcapng": lambda _: live_answer(daemon.capture),
            }
        )
        self._item_pages: Mapping[str, ItemPage] = MappingProxyType(
            {"services": self._service, "connections": self._connection}
        )

    def answer(self, target: Target) -> Answer:
        """Return the answer to a request.

        :raise RequestError: if the path is unknown, or a parameter is not valid.
        """
        match target.segments:
            case (name,) if name in self._pages:
                return self._pages[name](target)
            case (name, item) if name in self._item_pages and item:
                return self._item_pages[name](item)
        raise RequestError(NOT_FOUND, "unknown path; / lists the paths")

    def _index(self, target: Target) -> Answer:
        if preferred(target.accept, ("text/plain", HTML_TYPE)) == HTML_TYPE:
            return self._live_page.answer()
        text = _INDEX.format(version=sockd.__version__, name=self._daemon.name)
        return Answer(text.encode("utf-8"), content_type=TEXT, headers=VARY)

    def _health(self, _: Target) -> Answer:
        services = self._daemon.services.values()
        failed = [one.record.name for one in services if one.record.state is State.FAILED]
        if self._daemon.draining:
            return json_answer({"status": "draining"}, SERVICE_UNAVAILABLE)
        if failed:
            return json_answer({"status": "failed", "services": failed}, SERVICE_UNAVAILABLE)
        return json_answer({"status": "ok"})

    def _stats(self, _: Target) -> Answer:
        services = list(self._daemon.services.values())
        views = list(map(_service_view, services))  # all of the same moment as the event below
        totals = totals_view(one.record for one in services)
        return Answer(
            object_slices(
                [
                    ("daemon", self._daemon_view()),
                    ("services", iter(views)),
                    ("totals", totals),
                    ("event_id", self._events.newest),
                ]
            )
        )

    def _daemon_view(self) -> JsonObject:
        daemon = self._daemon
        return {
            "name": daemon.name,
            "version": sockd.__version__,
            "pid": os.getpid(),
            "started": rfc3339(daemon.started),
            "uptime": max(0.0, self._clock() - daemon.started),
            "reactor": daemon.reactor_name,
        }

    def _services(self, target: Target) -> Answer:
        services = list(self._daemon.services.values())
        form = _only_format(target)
        if form is not Format.JSON:
            return services_listing(form, services)
        return Answer(object_slices([("services", map(_service_view, services))]), headers=VARY)

    def _service(self, name: str) -> Answer:
        service = self._daemon.services.get(name)
        if service is None:
            raise RequestError(NOT_FOUND, "unknown service; /services lists the services")
        return json_answer(_service_view(service))

    def _connections(self, target: Target) -> Answer:
        ledger = self._daemon.ledger
        query = parse_query(target.parameters, sorted(ledger.names))
        selection = Selection(query.source(ledger), query)
        form = format_of(target)
        if form is not Format.JSON:
            return connections_listing(form, selection, self._clock())
        return Answer(connection_slices(selection, self._connection_view), headers=VARY)

    def _connection(self, number: str) -> Answer:
        is_number = number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS
        found = self._daemon.ledger.find(int(number)) if is_number else None
        if found is None:
            text = "unknown connection, or no longer in the history"
            raise RequestError(NOT_FOUND, text)
        return json_answer(self._connection_view(found))

    def _connection_view(self, connection: Connection) -> JsonObject:
        return connection_view(connection, self._daemon.tcp_info(connection))

    def _stream(self, target: Target) -> Answer:
        given = single_values(target.parameters, ("last_event_id",))
        return self._events.answer(target.last_event_id or given.get("last_event_id", ""))

    def _ports(self, target: Target) -> Answer:
        connections = self._daemon.ledger.open_connections()
        table = PortsTable(one.record for one in self._daemon.services.values())
        form = _only_format(target)
        if form is not Format.JSON:
            return ports_listing(form, connections, table)
        return Answer(port_slices(connections, table), headers=VARY)


def _only_format(target: Target) -> Format:
    """Return the requested format.

    :raise RequestError: if there are other parameters.
    """
    single_values(target.parameters, ("format",))
    return format_of(target)


def _service_view(service: INetworkService) -> JsonObject:
    return service_view(service.record, service.waiting)
