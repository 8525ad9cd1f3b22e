"""The paths of the stats endpoint, and what each of them answers.

It reads the daemon and knows nothing of sockets: a target comes in, an answer goes out.
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
/connections       who is connected: ?service= ?peer=HOST ?state=open|closed|all ?limit= ?after=ID
/connections/ID    one connection, open or remembered
/ports             what stays and what changes from connection to connection
/events            what happens, as it happens (server-sent events)
/metrics           the figures for Prometheus
/capture           whether the services' traffic is captured, and into which files
/capture.pcapng    the live packets, for `wireshark -k -i -`

The services, connections and ports are JSON, and with ?format=text or ?format=csv tables.
"""

_LONGEST_NUMBER = 18
"""Of a connection, in digits: what is longer is not worth making a number of."""

Page = Callable[[Target], Answer]
ItemPage = Callable[[str], Answer]


class Routes:
    """Answers what is asked of a daemon.

    :param clock: returns the time in seconds since the epoch.
    """

    def __init__(
        self, daemon: IDaemon, clock: Clock, events: EventStream, scrapes: MetricsEndpoint
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
                "metrics": lambda target: scrapes.answer(target.accept),
                "capture": lambda _: status_answer(daemon.capture),
                "capture.pcapng": lambda _: live_answer(daemon.capture),
            }
        )
        self._item_pages: Mapping[str, ItemPage] = MappingProxyType(
            {"services": self._service, "connections": self._connection}
        )

    def answer(self, target: Target) -> Answer:
        """Return the answer.

        :raise RequestError: if there is nothing there, or the parameters make no sense.
        """
        match target.segments:
            case (name,) if name in self._pages:
                return self._pages[name](target)
            case (name, item) if name in self._item_pages and item:
                return self._item_pages[name](item)
        raise RequestError(NOT_FOUND, "there is no such path; / lists those there are")

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
        views = list(map(_service_view, services))  # all at the moment of the event below
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
            raise RequestError(NOT_FOUND, "there is no such service; /services lists them")
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
        is_number = number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER
        found = self._daemon.ledger.find(int(number)) if is_number else None
        if found is None:
            text = "there is no such connection, or it is no longer remembered"
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
    """Return the form that is asked for.

    :raise RequestError: if anything else is asked for along with it.
    """
    single_values(target.parameters, ("format",))
    return format_of(target)


def _service_view(service: INetworkService) -> JsonObject:
    return service_view(service.record, service.waiting)
