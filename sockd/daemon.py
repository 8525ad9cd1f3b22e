"""The daemon: the services and their views, started and stopped in order.

Every port is bound before the process drops its privileges. At shutdown the services stop first;
the stats endpoint and the admin shell stay available until the services have drained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from twisted.application.service import IService, IServiceCollection
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import ILogObserver
from twisted.python.components import Componentized
from zope.interface import implementer

from sockd.errors import ConfigurationError, Problem, SockdError, SourceLocation
from sockd.interfaces import ICapture, IDaemon, INetworkService
from sockd.model.ledger import Ledger
from sockd.model.records import Connection
from sockd.reactor import IReactor
from sockd.support.logger import PartLogger
from sockd.support.service import TypedService
from sockd.support.steps import Steps
from sockd.support.turns import in_turns

if TYPE_CHECKING:
    from sockd.reload.plan import Plan

Banner = Callable[[], Iterable[str]]


class StartError(SystemExit, Exception):
    """The daemon could not start; the process exits with status 1.

    As it is an :class:`Exception`, twistd handles it too: it removes the pidfile and notifies a
    waiting parent process.
    """


@implementer(IDaemon)
class Daemon(TypedService):
    """The services and views of a configuration.

    :param reactor_name: the name of the reactor, as in ``twistd --reactor``.
    :param started: when the process started, in seconds since the epoch.
    :param tell: prints text on the standard error that the process was started with.
    :ivar log_observer: writes twistd's log; ``None``: twistd's own.
    """

    _log = PartLogger("sockd")

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        services: Sequence[INetworkService],
        reactor: IReactor,
        reactor_name: str,
        started: float,
        tell: Callable[[str], None],
    ) -> None:
        self.name = name
        self.ledger = ledger
        self.services: Mapping[str, INetworkService] = MappingProxyType(
            {service.record.name: service for service in services}
        )
        self._reactor = reactor
        self.reactor_name = reactor_name
        self.started = started
        self._tell = tell
        self.draining = False
        self.capture: ICapture | None = None
        self.log_observer: ILogObserver | None = None
        self._leaving: list[INetworkService] = []
        self._reload: Callable[[], Deferred[Plan]] | None = None
        self.views: tuple[IService, ...] = ()
        self._banner: Banner = tuple

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Attach to twistd's application, and make it log to :attr:`log_observer`."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self.log_observer is not None and isinstance(parent, Componentized):
            cast("Componentized", parent).setComponent(ILogObserver, self.log_observer)

    def show(self, views: Iterable[IService], banner: Banner) -> None:
        """Set the views and the banner.

        :param views: the stats endpoint, the admin shell and the capture.
        :param banner: returns the lines of :meth:`announce`; called when all ports are bound.
        """
        self.views = tuple(views)
        self._banner = banner

    def privilegedStartService(self) -> None:
        """Bind every port, or none.

        :raise StartError: with a line for each endpoint that cannot be bound.
        """
        problems: list[Problem] = []
        for part in self._parts():
            try:
                part.privilegedStartService()
            except SockdError as error:
                problems += error.problems
        if problems:
            for part in self._parts():
                part.stopService()
            # Closing takes an iteration of the reactor, which will not run; without it, the files
            # of unix sockets would remain.
            self._reactor.iterate(0)
            text = str(SockdError(problems))
            self._tell(text)
            raise StartError(text)

    def startService(self) -> None:
        """Start the services and views."""
        super().startService()
        for part in self._parts():
            part.startService()

    def announce(self) -> Deferred[None]:
        """Log the banner: the endpoints, and how to connect."""
        logging = Deferred.fromCoroutine(in_turns(self._reactor, self._log_banner()))
        return logging.addErrback(lambda error: self._log.failure("The banner failed", error))

    def stopService(self) -> Deferred[None]:
        """Drain and stop. Return a Deferred that fires when everything is closed."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def reload_by(self, reload: Callable[[], Deferred[Plan]]) -> None:
        """Set the function that reloads the configuration."""
        self._reload = reload

    def reload(self) -> Deferred[Plan]:
        """Reload the configuration. Return a Deferred that fires with the plan that was applied."""
        if self._reload is None:
            message = "this daemon has no configuration file"
            raise NotImplementedError(message)
        return self._reload()

    def adopt(
        self,
        name: str,
        services: Mapping[str, INetworkService],
        leaving: Iterable[INetworkService],
    ) -> None:
        """Replace the name and the services after a reload.

        Services in ``leaving`` stop and drain. They stay in :attr:`services` until their last
        connection is closed, unless a new service has the same name.
        """
        self.name = name
        removed = list(leaving)
        self._leaving += removed
        self._list(services)
        for service in removed:
            self._stopped(service).addCallback(partial(self._forget, service))

    def hurry(self) -> None:
        """Stop draining: close the remaining connections."""
        for service in self._all_services():
            service.hurry()

    def disconnect(self, connection: int) -> bool:
        """Close an open connection by its number; return whether there was one."""
        return any(service.disconnect(connection) for service in self._all_services())

    def tcp_info(self, connection: Connection) -> Mapping[str, object] | None:
        """Return the kernel's data about an open TCP connection, or ``None`` if there are none."""
        if connection.closed is not None:
            return None
        owners = (one for one in self._all_services() if one.record is connection.service)
        found = (service.tcp_info(connection.id) for service in owners)
        return next((info for info in found if info is not None), None)

    def stop(self, name: str) -> Deferred[None]:
        """Stop a service. Return a Deferred that fires when its connections are closed."""
        return maybeDeferred(self.services[name].stopService)

    def start(self, name: str) -> None:
        """Start a stopped service again.

        :raise ConfigurationError: if a reload has removed it, and it still drains.
        """
        service = self.services[name]
        if service in self._leaving:
            location = SourceLocation("configuration", 1, f"service:{name}")
            message = "the service was removed and is draining"
            raise ConfigurationError([Problem(location, message, "add it again, and reload")])
        service.startService()

    def _log_banner(self) -> Steps[None]:
        for line in self._banner():
            self._log.info("{line}", line=line)
            yield

    def _parts(self) -> tuple[IService, ...]:
        return (*self.services.values(), *self.views)

    def _all_services(self) -> tuple[INetworkService, ...]:
        """Return the current services, and the removed ones that still drain."""
        current = [one for one in self.services.values() if one not in self._leaving]
        return (*current, *self._leaving)

    def _list(self, services: Mapping[str, INetworkService]) -> None:
        leaving = {service.record.name: service for service in self._leaving}
        rest = {name: one for name, one in leaving.items() if name not in services}
        self.services = MappingProxyType({**services, **rest})

    def _forget(self, service: INetworkService, _: object) -> None:
        """Remove a drained service; also its record, unless a new service continues with it."""
        self._leaving.remove(service)
        name = service.record.name
        self._list({n: s for n, s in self.services.items() if s is not service})
        if name not in self.services:
            self.ledger.forget(service.record)

    async def _stop(self) -> None:
        self.draining = True
        stopping: list[Deferred[object]] = []
        await in_turns(self._reactor, self._begin_to_stop(stopping))
        active = sum(record.active for record in self.ledger.services.values())
        if active:
            self._log.info(
                "Draining: {active} open connections may finish; Ctrl-C again closes them",
                active=active,
            )
        await gatherResults(stopping)
        await gatherResults([self._stopped(view) for view in self.views])

    def _begin_to_stop(self, stopping: list[Deferred[object]]) -> Steps[None]:
        for service in self._all_services():
            stopping.append(self._stopped(service))
            yield

    def _stopped(self, part: IService) -> Deferred[object]:
        """Stop a part. A failure is logged, so that the other parts stop as well."""
        stopping: Deferred[object] = maybeDeferred(part.stopService)
        what = "{part} did not stop"
        return stopping.addErrback(lambda error: self._log.failure(what, error, part=part))
