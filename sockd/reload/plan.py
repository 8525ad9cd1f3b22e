"""The difference between two configurations: a plan of what a reload has to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sockd.errors import SourceLocation
from sockd.reload.followed import restart
from sockd.support.steps import Steps, finished

if TYPE_CHECKING:
    from sockd.config.endpoint import Endpoint
    from sockd.config.specs import Configuration, ServiceSpec

Held = Mapping[str, tuple["Endpoint", ...]]
"""The endpoints that are bound, by the names of their services."""

Identity = tuple[str, ...]

KindOptions = Mapping[str, Collection[str]]
"""The names of the options of each kind, by the name of the kind."""

_NOWHERE = SourceLocation("", 0)


@dataclass(frozen=True, slots=True)
class Move:
    """A bound endpoint that passes from one service to another."""

    endpoint: Endpoint
    giver: str
    taker: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The services of both configurations by what happens to them, and the endpoints likewise.

    :ivar kept: services whose section is the same, perhaps at another place in the file.
    :ivar changed: services that continue with a changed section.
    :ivar replaced: services whose kind, or an option of their kind, changed: a new service takes
        the place of the old one.
    :ivar fresh: the endpoints to bind, by the names of their services.
    :ivar moves: the bound endpoints that pass to another service.
    :ivar restart: the options that were changed and need a restart.
    """

    kept: tuple[ServiceSpec, ...] = ()
    changed: tuple[ServiceSpec, ...] = ()
    replaced: tuple[ServiceSpec, ...] = ()
    added: tuple[ServiceSpec, ...] = ()
    removed: tuple[ServiceSpec, ...] = ()
    fresh: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    restart: tuple[SourceLocation, ...] = ()

    def summary(self) -> str:
        """Return what happens to the services, in a line."""
        groups = [
            ("changed", (*self.changed, *self.replaced)),
            ("added", self.added),
            ("removed", self.removed),
        ]
        parts = [f"kept {len(self.kept)}"]
        parts += [
            f"{word} {', '.join(one.name for one in specs)}" for word, specs in groups if specs
        ]
        return ", ".join(parts)

    def lines(self) -> Iterator[str]:
        """Return the plan as text: the summary, the moves, and the options that need a restart."""
        yield self.summary()
        for move in self.moves:
            yield f"{move.endpoint.text} moves from {move.giver} to {move.taker}"
        for location in self.restart:
            yield f"{location}: changed, takes effect after a restart"


def plan(old: Configuration, new: Configuration, held: Held, options: KindOptions) -> Plan:
    """Return the plan for a change of the configuration.

    It takes tens of milliseconds for thousands of endpoints, see :func:`plan_in_steps`.

    :param held: the bound endpoints. A service that is not in it was stopped, and stays stopped.
    :param options: the names of the options of each kind, by the name of the kind.
    """
    return finished(plan_in_steps(old, new, held, options))


def plan_in_steps(
    old: Configuration, new: Configuration, held: Held, options: KindOptions
) -> Steps[Plan]:
    """Return the same as :func:`plan`, and yield after every few endpoints."""
    yield from _identified(old, new)
    before = {spec.name: spec for spec in old.services}
    groups: dict[str, list[ServiceSpec]] = {
        word: [] for word in ("kept", "changed", "replaced", "added")
    }
    for spec in new.services:
        groups[_group_of(before.get(spec.name), spec, options)].append(spec)
        yield
    names = {spec.name for spec in new.services}
    added = {spec.name for spec in groups["added"]}
    wanting = [spec for spec in new.services if spec.name in held or spec.name in added]
    fresh, moves = yield from _allocated(wanting, held)
    return Plan(
        **{word: tuple(specs) for word, specs in groups.items()},
        removed=tuple(spec for spec in old.services if spec.name not in names),
        fresh=fresh,
        moves=moves,
        restart=tuple(restart(old, new)),
    )


def _identified(*configurations: Configuration) -> Steps[None]:
    """Compute the identity of each endpoint, which the endpoint caches."""
    for configuration in configurations:
        for spec in configuration.services:
            for endpoint in spec.listen:
                endpoint.identity  # noqa: B018 - it is cached
                yield


def _group_of(old: ServiceSpec | None, new: ServiceSpec, options: KindOptions) -> str:
    if old is None:
        return "added"
    names = options[new.kind]
    if old.kind != new.kind or any(old.settings.get(n) != new.settings[n] for n in names):
        return "replaced"
    is_same = _without_location(old) == _without_location(new)
    return "kept" if is_same else "changed"


def _without_location(spec: ServiceSpec) -> tuple[ServiceSpec, list[object]]:
    """Return the content of a section without its location in the file."""
    return replace(spec, location=_NOWHERE, listen=()), _bound_to(spec.listen)


def _bound_to(endpoints: Iterable[Endpoint]) -> list[object]:
    return [(endpoint.identity, endpoint.changeable) for endpoint in endpoints]


def _allocated(
    wanting: Iterable[ServiceSpec], held: Held
) -> Steps[tuple[dict[str, tuple[Endpoint, ...]], tuple[Move, ...]]]:
    """Return the endpoints to bind, and the moves.

    A service keeps its own endpoints. A port that the system picked does not move: it belongs to
    the service that asked for any free port.
    """
    free: dict[str, Counter[Identity]] = {}
    for name, endpoints in held.items():
        free[name] = Counter(endpoint.identity for endpoint in endpoints)
        yield
    lacking = []
    for spec in wanting:
        own = free.get(spec.name, Counter())
        lacking += [(spec.name, one) for one in spec.listen if not _take(one, own)]
        yield
    givers = yield from _givers(free)
    fresh: dict[str, list[Endpoint]] = {}
    moves = []
    for name, endpoint in lacking:
        holders = [] if endpoint.port == 0 else givers.get(endpoint.identity, [])
        if holders:
            moves.append(Move(endpoint, holders.pop(0), name))
        else:
            fresh.setdefault(name, []).append(endpoint)
        yield
    return {name: tuple(endpoints) for name, endpoints in fresh.items()}, tuple(moves)


def _givers(free: Mapping[str, Counter[Identity]]) -> Steps[dict[Identity, list[str]]]:
    """Return the services that have endpoints to give away, by the identity of the endpoint."""
    givers: dict[Identity, list[str]] = {}
    for name, left in free.items():
        for identity in left.elements():
            givers.setdefault(identity, []).append(name)
        yield
    return givers


def _take(endpoint: Endpoint, free: Counter[Identity]) -> bool:
    """Remove an endpoint of the same identity; return whether there was one."""
    if not free[endpoint.identity]:
        return False
    free[endpoint.identity] -= 1
    return True
