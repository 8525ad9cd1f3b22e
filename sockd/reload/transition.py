"""The change from one configuration to another: first all that may fail, then part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol, cast

from twisted.application.service import IService

from sockd.config.endpoint import Endpoint
from sockd.config.occupied import Occupied
from sockd.config.specs import Configuration, ServiceSpec
from sockd.errors import BindError, Problem, SockdError, SourceLocation
from sockd.interfaces import INetworkService, IReloadableService, IReloadableView
from sockd.model.records import State
from sockd.registry import Registry
from sockd.reload.parts import parts
from sockd.reload.plan import Plan
from sockd.services.context import ServiceContext
from sockd.support.logger import PartLogger
from sockd.support.steps import Steps
from sockd.support.text import quoted


class Host(Protocol):
    """The daemon, as the owner of the services."""

    draining: bool
    services: Mapping[str, INetworkService]
    views: tuple[IService, ...]

    def adopt(
        self,
        name: str,
        services: Mapping[str, INetworkService],
        leaving: Iterable[INetworkService],
    ) -> None:
        """Replace the name and the services, and drain those that leave."""


class Transition:
    """The change from one configuration to another.

    :param services: the current services by name; updated as the transition is carried out.
    :param new: the new configuration, with the old values of options that need a restart.
    """

    _log = PartLogger("sockd")

    def __init__(
        self,
        host: Host,
        services: dict[str, INetworkService],
        old: Configuration,
        new: Configuration,
        plan: Plan,
        registry: Registry,
        context: ServiceContext,
    ) -> None:
        self._host = host
        self._services = services
        self._old = old
        self._new = new
        self._plan = plan
        self._registry = registry
        self._context = context
        self._known = frozenset(context.ledger.services)
        self._made: dict[str, INetworkService] = {}
        self._bound: set[str] = set()
        self._views: list[Callable[[], None]] = []

    def prepare(self) -> Steps[None]:
        """Make the new services, and bind the new endpoints.

        :raise SockdError: with everything that cannot be applied.
        """
        todo = self._plan
        problems = [*self._unchangeable((*todo.changed, *todo.replaced))]
        for spec in (*todo.replaced, *todo.added):
            self._made[spec.name] = self._registry.serve(spec, self._context)
            yield
        for spec in (*todo.changed, *todo.replaced, *todo.added):
            problems += yield from self._bind(spec)
        problems += yield from self._prepare_views()
        if problems:
            raise BindError((yield from self._explained(problems)))

    def follow_views(self) -> None:
        """Apply the new configuration to the stats endpoint and the admin shell."""
        for follow in self._views:
            follow()

    def undo(self) -> None:
        """Discard the services that were made and are not in use."""
        for name in self._bound - self._services.keys():
            self._made[name].stopService()
        ledger = self._context.ledger
        for name in ledger.services.keys() - self._known - self._services.keys():
            ledger.remove_service(ledger.services[name])

    def commit(self) -> Steps[None]:
        """Carry out one part in each step, unless the daemon shuts down meanwhile.

        Parts are independent, so each client is served by the old sections or by the new ones. A
        service that was stopped after the plan was made stays stopped.
        """
        for part in (yield from parts(self._plan)):
            if self._host.draining:
                return
            self._commit(part)
            yield

    def _prepare_views(self) -> Steps[list[Problem]]:
        problems: list[Problem] = []
        for view in filter(IReloadableView.providedBy, self._host.views):
            try:
                self._views.append(cast("IReloadableView", view).prepare(self._new))
            except SockdError as error:
                problems += error.problems
            yield
        return problems

    def _unchangeable(self, specs: Iterable[ServiceSpec]) -> Iterator[Problem]:
        """Return a problem for each change of a service that can only start and stop."""
        for spec in specs:
            if _reloadable(self._services[spec.name]) is None:
                message = f"the service {quoted(spec.name)} cannot change while it runs"
                yield Problem(spec.location, message, "its kind is a plugin's: restart the daemon")

    def _bind(self, spec: ServiceSpec) -> Steps[list[Problem]]:
        """Bind the new endpoints of a service, one in each step; return the problems."""
        service = self._made.get(spec.name) or self._services[spec.name]
        reloadable = _reloadable(service)
        problems: list[Problem] = []
        if reloadable is not None:
            for endpoints in _one_by_one(self._plan.fresh.get(spec.name, ())):
                problems += _problems_of(partial(reloadable.prepare, spec, endpoints))
                yield
        elif spec.name in self._made:
            problems += _problems_of(service.privilegedStartService)
            self._bound.add(spec.name)
            yield
        return list(dict.fromkeys(problems))

    def _explained(self, problems: Iterable[Problem]) -> Steps[list[Problem]]:
        """Replace the hint of a problem if another one helps than at the start."""
        taken = Occupied()
        for endpoint in self._old.endpoints:
            taken.add(endpoint)
            yield
        wanted: dict[SourceLocation, list[Endpoint]] = {}
        for endpoint in chain.from_iterable(self._plan.fresh.values()):
            wanted.setdefault(endpoint.location, []).append(endpoint)
        explained = []
        for problem in problems:
            others = map(taken.find, wanted.get(problem.location, ()))
            other = next(filter(None, others), None)
            if other is not None:
                hint = f"sockd has it as {other.text}: reload once without it, or restart"
                problem = replace(problem, hint=hint)
            explained.append(problem)
            yield
        return explained

    def _commit(self, part: Plan) -> None:
        leaving = [self._services.pop(one.name) for one in (*part.removed, *part.replaced)]
        stopped = {one.record.name for one in leaving if not one.record.listeners}
        for service in filter(None, map(_reloadable, leaving)):
            service.release(())
        staying = (*part.changed, *part.kept)
        if part.moves or part.changed:
            for service, spec in self._reloadables(staying):
                service.release(spec.listen)
        made = {one.name: self._made[one.name] for one in (*part.replaced, *part.added)}
        self._services.update(made)
        if leaving or made:
            self._host.adopt(self._old.name, self._services, leaving)
        for service, spec in self._reloadables(staying):
            reply = self._registry.replies[spec.reply]
            self._surviving(service, partial(service.reconfigure, spec, reply, self._context))
        for name, new in made.items():
            if name not in stopped:
                self._surviving(new, new.startService)

    def _reloadables(
        self, specs: Iterable[ServiceSpec]
    ) -> Iterator[tuple[IReloadableService, ServiceSpec]]:
        for spec in specs:
            service = _reloadable(self._services[spec.name])
            if service is not None:
                yield service, spec

    def _surviving(self, service: INetworkService, step: Callable[[], None]) -> None:
        """Do a step that can only fail if a service was stopped a moment ago; log the failure."""
        try:
            step()
        except BindError as error:
            self._context.ledger.unbound(service.record, State.FAILED)
            for problem in error.problems:
                self._log.error("{problem}", problem=str(problem))


def _one_by_one(endpoints: tuple[Endpoint, ...]) -> Iterator[tuple[Endpoint, ...]]:
    """Return endpoints in tuples of one; an empty tuple if there are none."""
    return ((one,) for one in endpoints) if endpoints else iter([()])


def _problems_of(bind: Callable[[], None]) -> Iterable[Problem]:
    try:
        bind()
    except SockdError as error:
        return error.problems
    return ()


def _reloadable(service: INetworkService) -> IReloadableService | None:
    is_reloadable = IReloadableService.providedBy(service)
    return cast("IReloadableService", service) if is_reloadable else None
