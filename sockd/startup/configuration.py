"""The configuration of a file, checked against what this process may have open."""

from __future__ import annotations

from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from sockd import check
from sockd.config.load import AdminCheck, load_in_steps
from sockd.config.specs import Configuration
from sockd.errors import ConfigurationError
from sockd.process import descriptors
from sockd.reactor import IReactor
from sockd.registry import Registry
from sockd.startup.chosen_reactor import is_select
from sockd.support.logger import PartLogger
from sockd.support.steps import Steps


def read_configuration(
    path: str | None, registry: Registry, reactor: IReactor, check_admin: AdminCheck
) -> Steps[Configuration]:
    """Return the configuration of a file, or of the lab that comes with sockd, in steps.

    :param path: ``None`` for the lab.
    :param check_admin: returns what is wrong with the files that ``[admin]`` names.

    :raise ConfigurationError: with every error of the file, and every broken plugin.
    """
    problems = list(registry.problems)
    try:
        configuration = yield from _loaded(path, registry, reactor, check_admin)
    except ConfigurationError as error:
        raise ConfigurationError([*error.problems, *problems]) from None
    is_limited = is_select(reactor)
    fitted = _fitted(configuration, registry) if is_limited else configuration
    demand = check.descriptor_demand(fitted, registry)
    problems += descriptors.problems(fitted, demand, descriptors.hard_limit(), is_limited)
    if problems:
        raise ConfigurationError(problems)
    for warning in check.warnings(fitted, reactor.seconds()):
        PartLogger("sockd").warn("{warning}", warning=str(warning))
    return fitted


def _loaded(
    path: str | None, registry: Registry, reactor: IReactor, check_admin: AdminCheck
) -> Steps[Configuration]:
    broken = ", ".join(problem.location.file for problem in registry.problems)
    missing = f"; broken plugins: {broken}" if broken else ""
    usable = partial(check.usable, reactor=reactor)
    with as_file(files("sockd") / "lab.ini") as lab:
        file = lab if path is None else Path(path)
        kinds, replies = registry.kinds, registry.replies
        return (yield from load_in_steps(file, kinds, replies, missing, usable, check_admin))


def _fitted(configuration: Configuration, registry: Registry) -> Configuration:
    """Return what fits the reactor select, and say so if it is less than the default."""
    demand = check.descriptor_demand(configuration, registry)
    fitted = descriptors.fitted(configuration, demand, descriptors.SELECT)
    for before, after in zip(configuration.services, fitted.services, strict=True):
        if before != after:
            PartLogger("sockd").warn(
                "{service}: max_connections is {most}, since the reactor select serves {limit}"
                " descriptors in all",
                service=after.name,
                most=after.max_connections,
                limit=descriptors.SELECT,
            )
    return fitted
