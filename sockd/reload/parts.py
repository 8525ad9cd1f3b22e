"""Splits a plan into parts that can be carried out one after the other. Pure.

Services that pass sockets to each other form one part, and change at the same moment. The others
are independent.
"""

from __future__ import annotations

from collections.abc import Iterable

from sockd.config.specs import ServiceSpec
from sockd.reload.plan import Move, Plan
from sockd.support.steps import Steps

_GROUPS = ("removed", "replaced", "added", "changed", "kept")


def parts(plan: Plan) -> Steps[list[Plan]]:
    """Return the parts of a plan. Parts that free something come first.

    They do not contain the endpoints to bind and the options that need a restart.
    """
    leaders = _leaders(plan.moves)
    services: dict[str, dict[str, list[ServiceSpec]]] = {}
    moves: dict[str, list[Move]] = {}
    for word in _GROUPS:
        for spec in getattr(plan, word):
            leader = _leader_of(spec.name, leaders)
            services.setdefault(leader, {}).setdefault(word, []).append(spec)
            yield
    for move in plan.moves:
        moves.setdefault(_leader_of(move.giver, leaders), []).append(move)
        yield
    return [_part_of(groups, moves.get(leader, [])) for leader, groups in services.items()]


def _part_of(groups: dict[str, list[ServiceSpec]], moves: list[Move]) -> Plan:
    return Plan(
        kept=tuple(groups.get("kept", ())),
        changed=tuple(groups.get("changed", ())),
        replaced=tuple(groups.get("replaced", ())),
        added=tuple(groups.get("added", ())),
        removed=tuple(groups.get("removed", ())),
        moves=tuple(moves),
    )


def _leaders(moves: Iterable[Move]) -> dict[str, str]:
    """Map each service that gives or takes a socket to another one of its part, or to itself."""
    leaders: dict[str, str] = {}
    for move in moves:
        leaders[_leader_of(move.giver, leaders)] = _leader_of(move.taker, leaders)
    return leaders


def _leader_of(name: str, leaders: dict[str, str]) -> str:
    """Return the service that identifies the part of another one."""
    while (leader := leaders.get(name, name)) != name:
        leaders[name] = leaders.get(leader, leader)
        name = leader
    return name
