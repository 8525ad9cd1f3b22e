"""The stats endpoint as a service: bound with the others, closed with the others."""

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
"""The length of listen(2)'s queue, where an endpoint does not say."""


@implementer(IReloadableView)
class StatsService(BindingService):
    """Answers over HTTP who is connected to a daemon, and what has passed."""

    _log = PartLogger("sockd.stats")

    def __init__(self, spec: StatsSpec, daemon: IDaemon, reactor: IReactor) -> None:
        self._events = EventStream(daemon, reactor)
        self._scrapes = MetricsEndpoint(daemon, reactor)
        pages = Routes(daemon, reactor.seconds, self._events, self._scrapes)
        known = _known_hosts(spec)
        self._site = StatsSite(pages.answer, known, reactor, one_slice_a_turn(reactor))
        self._listeners = Listeners(reactor, spec.listen, BACKLOG)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Where it listens, with the ports that it really has."""
        return self._listeners.bound

    def startService(self) -> None:
        """Serve."""
        super().startService()
        self._scrapes.start()

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        """Return what follows other hosts, certificates and backlogs.

        That the certificates are usable was found when the configuration was read.
        """
        spec = configuration.stats
        return partial(self._follow, spec) if spec is not None else lambda: None

    def stopService(self) -> Deferred[None]:
        """Stop listening, and close what is open; the Deferred fires when all is gone."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def _follow(self, spec: StatsSpec) -> None:
        self._site.known = _known_hosts(spec)
        self._listeners.renew(spec.listen, BACKLOG)

    def _bind(self) -> None:
        self._listeners.open(lambda _: self._site, lambda: None, self._binding_failed)

    async def _stop(self) -> None:
        self._scrapes.stop()
        await self._listeners.close()
        self._events.close()
        await self._site.close()


def _known_hosts(spec: StatsSpec) -> KnownHosts:
    return KnownHosts((*spec.hosts, *(one.host for one in spec.listen if one.host)))
