"""Reads the configuration again and applies it, or changes nothing.

A reload is done in steps between which the reactor serves clients. First comes everything that may
fail: the file is read, and new endpoints are bound, but do not accept yet. Then the services change
one after the other, which cannot fail; only services that pass sockets to each other change at the
same moment. If a service is started or stopped meanwhile, a new plan is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredLock

from sockd.config.endpoint import Endpoint
from sockd.config.specs import Configuration
from sockd.errors import ConfigurationError, Problem, SockdError, SourceLocation
from sockd.registry import Registry
from sockd.reload.followed import settled
from sockd.reload.plan import Plan, plan_in_steps
from sockd.reload.transition import Host, Transition
from sockd.services.context import ServiceContext
from sockd.support.logger import PartLogger
from sockd.support.steps import Steps
from sockd.support.turns import in_turns

_ATTEMPTS = 3
"""How many plans are made if services are started or stopped meanwhile."""


class Reloader:
    """Reads the configuration again, and applies it to the services.

    :param configuration: the current configuration.
    :param read: returns the configuration of the file, in steps, or raises
        :class:`ConfigurationError`.
    """

    _log = PartLogger("sockd")

    def __init__(
        self,
        host: Host,
        configuration: Configuration,
        read: Callable[[], Steps[Configuration]],
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
        """Read the file and apply it, or leave everything unchanged. One reload runs at a time.

        :return: a Deferred that fires with the plan that was carried out, or fails with
            :class:`SockdError`.
        """
        return self._turn.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> Plan:
        reactor = self._context.reactor
        try:
            done = await self._follow(await in_turns(reactor, self._read()))
        except SockdError as error:
            await in_turns(reactor, self._log_errors(error))
            raise
        finally:  # otherwise the next reload could not bind these addresses
            await self._context.spare.close(self._context.reactor)
        await in_turns(reactor, self._log_plan(done))
        return done

    def _log_errors(self, error: SockdError) -> Steps[None]:
        for problem in error.problems:
            self._log.error("{problem}", problem=str(problem))
            yield
        self._log.error("Nothing was changed: the previous configuration stays in effect")

    def _log_plan(self, done: Plan) -> Steps[None]:
        for line in done.lines():
            self._log.info("Reloaded: {line}", line=line)
            yield

    async def _follow(self, new: Configuration) -> Plan:
        """Apply a configuration; or raise, and leave everything unchanged."""
        reactor = self._context.reactor
        context = replace(
            self._context, drain=new.drain, fast_path=new.fast_path, io_uring=new.io_uring
        )
        wanted, transition = await self._prepared(new, context)
        try:
            await in_turns(reactor, transition.commit())
        finally:
            transition.undo()
        self._demand_running(new)
        self._services = {spec.name: self._services[spec.name] for spec in new.services}
        self._host.adopt(new.name, self._services, ())
        transition.follow_views()
        self._settle(settled(self._configuration, new))
        self._context = context
        return wanted

    async def _prepared(
        self, new: Configuration, context: ServiceContext
    ) -> tuple[Plan, Transition]:
        """Return a plan and its transition, prepared for the services that run now.

        :raise SockdError: with everything that cannot be applied.
        """
        reactor, options = context.reactor, self._registry.kind_options
        for _ in range(_ATTEMPTS):
            held = self._held()
            steps = plan_in_steps(self._configuration, new, held, options)
            wanted = await in_turns(reactor, steps)
            transition = self._transition(new, wanted, context)
            try:
                await in_turns(reactor, transition.prepare())
                self._demand_running(new)
            except Exception:  # a plugin may raise anything
                transition.undo()
                raise
            if held == self._held():
                return wanted, transition
            transition.undo()
            await self._context.spare.close(self._context.reactor)
        location = SourceLocation(new.file, 1)
        message = "services were started or stopped at the same time"
        raise ConfigurationError([Problem(location, message, "reload again")])

    def _transition(self, new: Configuration, wanted: Plan, context: ServiceContext) -> Transition:
        old = self._configuration
        after = settled(old, new)
        return Transition(self._host, self._services, old, after, wanted, self._registry, context)

    def _demand_running(self, new: Configuration) -> None:
        if self._host.draining:
            location = SourceLocation(new.file, 1)
            raise ConfigurationError(
                [Problem(location, "sockd is shutting down", "start it again")]
            )

    def _held(self) -> dict[str, tuple[Endpoint, ...]]:
        """Return the bound endpoints."""
        return {
            spec.name: spec.listen
            for spec in self._configuration.services
            if self._services[spec.name].record.listeners
        }

    def _settle(self, new: Configuration) -> None:
        """Apply the options that do not belong to services."""
        self._configuration = new
        self._context.ledger.set_history_limit(new.history)
        for spec in new.services:
            record = self._services[spec.name].record
            record.kind, record.reply = spec.kind, spec.reply
