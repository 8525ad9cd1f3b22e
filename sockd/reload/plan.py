"""The difference between two configurations: what a reload has to do, as a value. Pure."""

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
"""The endpoints that are bound now, by the names of their services."""

Identity = tuple[str, ...]

KindOptions = Mapping[str, Collection[str]]
"""The names of the options that each kind declares, by the name of the kind."""

_NOWHERE = SourceLocation("", 0)


@dataclass(frozen=True, slots=True)
class Move:
    """An endpoint that goes on listening for another service."""

    endpoint: Endpoint
    giver: str
    taker: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The services by what becomes of them, and the endpoints likewise.

    :ivar kept: those whose section says what it said, wherever it stands in the file now.
    :ivar changed: those that go on by another section.
    :ivar replaced: those whose kind is another one, or has other options: a new service takes the
        old one's place.
    :ivar fresh: the endpoints to bind, by the names of the services that want them.
    :ivar moves: the endpoints that are bound, and that another service wants.
    :ivar restart: the options that were changed and are not followed before a restart.
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
        """Return what becomes of the services, in a line."""
        groups = [
            ("changed", (*self.changed, *self.replaced)),
            ("added", self.added),
            ("removed", self.removed),
        ]
        said = [f"kept {len(self.kept)}"]
        said += [
            f"{word} {', '.join(one.name for one in specs)}" for word, specs in groups if specs
        ]
        return ", ".join(said)

    def lines(self) -> Iterator[str]:
        """Return the whole of it for people: the summary, the moves, and what needs a restart."""
        yield self.summary()
        for move in self.moves:
            yield f"{move.endpoint.text} goes from {move.giver} to {move.taker}"
        for location in self.restart:
            yield f"{location}: changed, and followed after a restart only"


def plan(old: Configuration, new: Configuration, held: Held, options: KindOptions) -> Plan:
    """Return what has to happen.

    It takes tens of milliseconds for thousands of endpoints, see :func:`plan_in_steps`.

    :param held: what is bound now; a service that is not there was stopped, and stays so.
    :param options: the names of the options that each kind declares, by the name of the kind.
    """
    return finished(plan_in_steps(old, new, held, options))


def plan_in_steps(
    old: Configuration, new: Configuration, held: Held, options: KindOptions
) -> Steps[Plan]:
    """Do the same as :func:`plan`, a few endpoints at a time."""
    yield from _identified(old, new)
    before = {spec.name: spec for spec in old.services}
    groups: dict[str, list[ServiceSpec]] = {
        word: [] for word in ("kept", "changed", "replaced", "added")
    }
    for spec in new.services:
        groups[_becomes(before.get(spec.name), spec, options)].append(spec)
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
    """Have the identity of each endpoint worked out, which is kept."""
    for configuration in configurations:
        for spec in configuration.services:
            for endpoint in spec.listen:
                endpoint.identity  # noqa: B018 - it is kept
                yield


def _becomes(old: ServiceSpec | None, new: ServiceSpec, options: KindOptions) -> str:
    if old is None:
        return "added"
    names = options[new.kind]
    if old.kind != new.kind or any(old.settings.get(n) != new.settings[n] for n in names):
        return "replaced"
    is_same = _without_location(old) == _without_location(new)
    return "kept" if is_same else "changed"


def _without_location(spec: ServiceSpec) -> tuple[ServiceSpec, list[object]]:
    """Return what a section says, wherever it stands."""
    return replace(spec, location=_NOWHERE, listen=()), _bound_to(spec.listen)


def _bound_to(endpoints: Iterable[Endpoint]) -> list[object]:
    return [(endpoint.identity, endpoint.changeable) for endpoint in endpoints]


def _allocated(
    wanting: Iterable[ServiceSpec], held: Held
) -> Steps[tuple[dict[str, tuple[Endpoint, ...]], tuple[Move, ...]]]:
    """Return what is to be bound, and what is to change hands.

    A service keeps what it holds itself. A port that the system picked does not change hands: it
    is nobody's but the service's that asked for any.
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
    givers: dict[Identity, list[str]] = {}
    for name, left in free.items():
        for identity in left.elements():
            givers.setdefault(identity, []).append(name)
        yield
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


def _take(endpoint: Endpoint, free: Counter[Identity]) -> bool:
    """Take an endpoint of the same identity out; return whether there was one."""
    if not free[endpoint.identity]:
        return False
    free[endpoint.identity] -= 1
    return True
