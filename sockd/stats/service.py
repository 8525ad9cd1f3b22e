"""The stats endpoint as a Twisted service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from zope.interface import implementer

from sockd.config.specs import Configuration, StatsSpec
from sockd.interfaces import IDaemon, IReloadableView
from sockd.model.records import Listener
from sockd.net.listeners import Listeners
from sockd.reactor import IReactor
from sockd.stats.events.stream import EventStream
from sockd.stats.http.delivery import one_slice_a_turn
from sockd.stats.http.hosts import KnownHosts
from sockd.stats.http.site import StatsSite
from sockd.stats.metrics.scrape import MetricsEndpoint
from sockd.stats.routes import Routes
from sockd.support.logger import PartLogger
from sockd.support.service import BindingService

BACKLOG = 50
"""The backlog of endpoints that do not set one."""


@implementer(IReloadableView)
class StatsService(BindingService):
    """Serves the stats of a daemon over HTTP."""

    _log = PartLogger("sockd.stats")

    def __init__(self, spec: StatsSpec, daemon: IDaemon, reactor: IReactor) -> None:
        self._events = EventStream(daemon, reactor)
        self._metrics = MetricsEndpoint(daemon, reactor)
        routes = Routes(daemon, reactor.seconds, self._events, self._metrics)
        known = _known_hosts(spec)
        self._site = StatsSite(routes.answer, known, reactor, one_slice_a_turn(reactor))
        self._listeners = Listeners(reactor, spec.listen, BACKLOG)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The bound listeners, with their actual ports."""
        return self._listeners.bound

    def startService(self) -> None:
        """Start to serve."""
        super().startService()
        self._metrics.start()

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        """Return a function that applies new hosts, certificates and backlogs.

        The certificates were checked when the configuration was read.
        """
        spec = configuration.stats
        return partial(self._follow, spec) if spec is not None else lambda: None

    def stopService(self) -> Deferred[None]:
        """Stop listening, and close connections. Return a Deferred that fires when this is done."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def _follow(self, spec: StatsSpec) -> None:
        self._site.known = _known_hosts(spec)
        self._listeners.renew(spec.listen, BACKLOG)

    def _bind(self) -> None:
        self._listeners.open(lambda _: self._site, lambda: None, self._binding_failed)

    async def _stop(self) -> None:
        self._metrics.stop()
        await self._listeners.close()
        self._events.close()
        await self._site.close()


def _known_hosts(spec: StatsSpec) -> KnownHosts:
    return KnownHosts((*spec.hosts, *(one.host for one in spec.listen if one.host)))
