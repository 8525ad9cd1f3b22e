"""The daemon: the services and their views, started and stopped in the right order.

Every port is bound while the process still has its privileges. At the end the services stop
first; the stats endpoint and the admin shell stay up to show them drain.
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
    """The daemon could not start: the interpreter logs the problems and exits with status 1.

    As an :class:`Exception` it also passes through twistd's own clean-up, which removes the pidfile
    and lets a waiting parent process know.
    """


@implementer(IDaemon)
class Daemon(TypedService):
    """All that one configuration asks for, running.

    :param reactor_name: what ``twistd --reactor`` calls the reactor.
    :param started: when the process started, in seconds since the epoch.
    :param tell: shows text to whoever starts it.
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
        """Become the service of twistd's application, which then logs to :attr:`log_observer`."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self.log_observer is not None and isinstance(parent, Componentized):
            cast("Componentized", parent).setComponent(ILogObserver, self.log_observer)

    def show(self, views: Iterable[IService], banner: Banner) -> None:
        """Add what shows the services to people.

        :param views: the stats endpoint and the admin shell.
        :param banner: returns the lines of :meth:`announce`, asked once all ports are bound.
        """
        self.views = tuple(views)
        self._banner = banner

    def privilegedStartService(self) -> None:
        """Bind every port, or none.

        :raise StartError: with a line for each endpoint that cannot be had.
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
            # Ports close in a round of the reactor, which will not run; unix sockets would stay.
            self._reactor.iterate(0)
            text = str(SockdError(problems))
            self._tell(text)
            raise StartError(text)

    def startService(self) -> None:
        """Serve."""
        super().startService()
        for part in self._parts():
            part.startService()

    def announce(self) -> None:
        """Write into the log that everything is up, and how to connect."""
        told = Deferred.fromCoroutine(in_turns(self._reactor, self._greeting()))
        told.addErrback(lambda failure: self._log.failure("The banner failed", failure))

    def stopService(self) -> Deferred[None]:
        """Drain and stop; the Deferred fires when everything is closed."""
        self.end()
        return Deferred.fromCoroutine(self._stop())

    def reload_by(self, reload: Callable[[], Deferred[Plan]]) -> None:
        """Add what reads the configuration again."""
        self._reload = reload

    def reload(self) -> Deferred[Plan]:
        """Read the configuration again and follow it; the Deferred fires with what was done."""
        if self._reload is None:
            message = "this daemon has no file"
            raise NotImplementedError(message)
        return self._reload()

    def adopt(
        self,
        name: str,
        services: Mapping[str, INetworkService],
        leaving: Iterable[INetworkService],
    ) -> None:
        """Have another name, and other services.

        Those that leave stop and drain. They are listed until their last connection is gone,
        unless another service has their name by then.
        """
        self.name = name
        going = list(leaving)
        self._leaving += going
        self._list(services)
        for service in going:
            self._stopped(service).addCallback(partial(self._left, service))

    def hurry(self) -> None:
        """Stop draining: close the connections that are left."""
        for service in self._everyone():
            service.hurry()

    def disconnect(self, connection: int) -> bool:
        """Close an open connection by its number; return whether there was one."""
        return any(service.disconnect(connection) for service in self._everyone())

    def tcp_info(self, connection: Connection) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection, ``None`` where it has none."""
        if connection.closed is not None:
            return None
        for service in self._everyone():
            if service.record is connection.service:
                info = service.tcp_info(connection.id)
                if info is not None:
                    return info
        return None

    def stop(self, name: str) -> Deferred[None]:
        """Stop a service; the Deferred fires when its connections are gone."""
        return maybeDeferred(self.services[name].stopService)

    def start(self, name: str) -> None:
        """Start a stopped service again.

        :raise ConfigurationError: if it is only here to drain.
        """
        service = self.services[name]
        if service in self._leaving:
            location = SourceLocation("configuration", 1, f"service:{name}")
            message = "the service was removed, and is here only to drain"
            raise ConfigurationError([Problem(location, message, "put it back, and reload")])
        service.startService()

    def _greeting(self) -> Steps[None]:
        for line in self._banner():
            self._log.info("{line}", line=line)
            yield

    def _parts(self) -> tuple[IService, ...]:
        return (*self.services.values(), *self.views)

    def _everyone(self) -> tuple[INetworkService, ...]:
        """Return the services, and those too that leave."""
        current = [one for one in self.services.values() if one not in self._leaving]
        return (*current, *self._leaving)

    def _list(self, services: Mapping[str, INetworkService]) -> None:
        leaving = {service.record.name: service for service in self._leaving}
        rest = {name: one for name, one in leaving.items() if name not in services}
        self.services = MappingProxyType({**services, **rest})

    def _left(self, service: INetworkService, _: object) -> None:
        """Forget a service that has drained, and its account where nobody goes on with that."""
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
        for service in self._everyone():
            stopping.append(self._stopped(service))
            yield

    def _stopped(self, part: IService) -> Deferred[object]:
        """Stop a part; whatever comes of that, the others must stop as well."""
        stopping: Deferred[object] = maybeDeferred(part.stopService)
        return stopping.addErrback(
            lambda failure: self._log.failure("{part} did not stop", failure, part=part)
        )
