"""Carries a plan out: prepares all that may fail, then lets sockets change hands, which cannot.

From the first step to the last the reactor does not get its turn, so nobody is accepted by half of
a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from sockd.config.endpoint import Endpoint
from sockd.config.specs import Configuration, ServiceSpec
from sockd.errors import BindError, ConfigurationError, Place, Problem, SockdError
from sockd.interfaces import INetworkService, IReloadableService, IReloadableView
from sockd.kinds.context import ServiceContext
from sockd.registry import Registry
from sockd.reload.followed import settled
from sockd.reload.plan import Plan, plan
from sockd.text import quoted


class Host(Protocol):
    """Who has the services: the daemon."""

    draining: bool
    services: Mapping[str, INetworkService]
    views: tuple[IService, ...]

    def adopt(
        self,
        name: str,
        services: Mapping[str, INetworkService],
        leaving: Iterable[INetworkService],
    ) -> None:
        """Have a name and services, and let those drain that leave."""


@dataclass(frozen=True, slots=True)
class _Transition:
    """What is under way between two configurations.

    :ivar known: whose accounts there were before.
    :ivar made: new services, by name.
    :ivar bound: those of them that have bound their endpoints themselves.
    :ivar settled: the configuration to come, with what stays as it is until a restart.
    :ivar views: what has the views follow it.
    """

    plan: Plan
    settled: Configuration
    known: frozenset[str]
    made: dict[str, INetworkService] = field(default_factory=dict)
    bound: list[INetworkService] = field(default_factory=list)
    views: list[Callable[[], None]] = field(default_factory=list)


class Reloader:
    """Reads the configuration again, and has the services follow it.

    :param configuration: what they follow now.
    :param read: returns what the file says, or raises :class:`ConfigurationError`.
    """

    _log = Logger()

    def __init__(
        self,
        host: Host,
        configuration: Configuration,
        read: Callable[[], Configuration],
        registry: Registry,
        context: ServiceContext,
    ) -> None:
        self._host = host
        self._services = dict(host.services)
        self._configuration = configuration
        self._read = read
        self._registry = registry
        self._context = context
        self._turn = DeferredLock()

    def reload(self) -> Deferred[Plan]:
        """Read the file, and follow it or leave everything as it was; one at a time.

        :return: what fires with what was done, or fails with :class:`SockdError`.
        """
        return self._turn.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> Plan:
        try:
            done = self._follow(self._read())
        except SockdError as error:
            for problem in error.problems:
                self._log.error("{problem}", problem=str(problem))
            self._log.error("Nothing was changed: what was in force stays in force")
            raise
        finally:  # the next reload must find the addresses free
            await self._context.spare.close()
        for line in done.lines():
            self._log.info("Reloaded: {line}", line=line)
        return done

    def _follow(self, new: Configuration) -> Plan:
        """Do it all; or raise, and leave everything as it was."""
        if self._host.draining:
            place = Place(new.file, 1)
            raise ConfigurationError([Problem(place, "sockd is shutting down", "start it again")])
        wanted = plan(self._configuration, new, self._held(), self._registry.kinds)
        context = replace(self._context, drain=new.drain, lane=new.lane, io_uring=new.io_uring)
        known = frozenset(context.ledger.services)
        transition = _Transition(wanted, settled(self._configuration, new), known)
        try:
            self._prepare(transition, context)
        except Exception:  # a plugin raises what it likes
            self._undo(transition)
            raise
        self._commit(transition, context)
        return wanted

    def _held(self) -> dict[str, tuple[Endpoint, ...]]:
        """Return what is bound now."""
        return {
            spec.name: spec.listen
            for spec in self._configuration.services
            if self._services[spec.name].record.listeners
        }

    def _prepare(self, transition: _Transition, context: ServiceContext) -> None:
        """Make the new services, and bind everything that is not bound yet.

        :raise SockdError: with all that cannot be had.
        """
        todo = transition.plan
        problems = [*self._unchangeable((*todo.changed, *todo.replaced))]
        for spec in (*todo.replaced, *todo.added):
            transition.made[spec.name] = self._registry.serve(spec, context)
        for spec in (*todo.changed, *todo.replaced, *todo.added):
            try:
                self._bind(spec, transition)
            except SockdError as error:
                problems += [self._explained(problem, todo) for problem in error.problems]
        problems += self._prepare_views(transition)
        if problems:
            raise BindError(problems)

    def _prepare_views(self, transition: _Transition) -> Iterator[Problem]:
        for view in filter(IReloadableView.providedBy, self._host.views):
            try:
                reloadable = cast("IReloadableView", view)
                transition.views.append(reloadable.prepare(transition.settled))
            except SockdError as error:
                yield from error.problems

    def _unchangeable(self, specs: Iterable[ServiceSpec]) -> Iterator[Problem]:
        """Return what changes of services that only know how to start and stop."""
        for spec in specs:
            if _reloadable(self._services[spec.name]) is None:
                wrong = f"the service {quoted(spec.name)} cannot change while it runs"
                yield Problem(spec.place, wrong, "its kind is a plugin's: restart the daemon")

    def _bind(self, spec: ServiceSpec, transition: _Transition) -> None:
        service = transition.made.get(spec.name) or self._services[spec.name]
        reloadable = _reloadable(service)
        if reloadable is not None:
            reloadable.prepare(spec, transition.plan.fresh.get(spec.name, ()))
        elif spec in transition.plan.added:
            service.privilegedStartService()
            transition.bound.append(service)

    def _explained(self, problem: Problem, todo: Plan) -> Problem:
        """Name the remedy where it is another one than at the start."""
        wanted = [one for some in todo.fresh.values() for one in some if one.place == problem.place]
        for endpoint in wanted:
            for other in self._configuration.endpoints:
                if endpoint.collides_with(other):
                    remedy = f"sockd has it as {other.text}: reload once without it, or restart"
                    return replace(problem, remedy=remedy)
        return problem

    def _undo(self, transition: _Transition) -> None:
        for service in transition.bound:
            service.stopService()
        ledger = self._context.ledger
        for name in ledger.services.keys() - transition.known:
            ledger.withdraw(ledger.services[name])

    def _commit(self, transition: _Transition, context: ServiceContext) -> None:
        todo, new = transition.plan, transition.settled
        leaving = [self._services.pop(one.name) for one in (*todo.removed, *todo.replaced)]
        stopped = {one.record.name for one in leaving if not one.record.listeners}
        self._release(leaving, (*todo.kept, *todo.changed))
        everyone = {**self._services, **transition.made}
        self._services = {spec.name: everyone[spec.name] for spec in new.services}
        self._host.adopt(new.name, self._services, leaving)
        self._reconfigure((*todo.kept, *todo.changed), context)
        for name, service in transition.made.items():
            if name not in stopped:
                service.startService()
        for follow in transition.views:
            follow()
        self._settle(new)
        self._context = context

    def _release(self, leaving: Iterable[INetworkService], staying: Iterable[ServiceSpec]) -> None:
        """Gather the sockets that change hands, or are to be closed."""
        for service in filter(None, map(_reloadable, leaving)):
            service.release(())
        for spec in staying:
            reloadable = _reloadable(self._services[spec.name])
            if reloadable is not None:
                reloadable.release(spec.listen)

    def _reconfigure(self, specs: Iterable[ServiceSpec], context: ServiceContext) -> None:
        for spec in specs:
            reloadable = _reloadable(self._services[spec.name])
            if reloadable is not None:
                reloadable.reconfigure(spec, self._registry.replies[spec.reply], context)

    def _settle(self, new: Configuration) -> None:
        """Follow the rest of the file."""
        self._configuration = new
        self._context.ledger.remember(new.history)
        for spec in new.services:
            record = self._services[spec.name].record
            record.kind, record.reply = spec.kind, spec.reply


def _reloadable(service: INetworkService) -> IReloadableService | None:
    is_reloadable = IReloadableService.providedBy(service)
    return cast("IReloadableService", service) if is_reloadable else None
