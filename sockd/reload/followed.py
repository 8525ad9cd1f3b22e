"""Options outside of services: those that a reload applies, and those that need a restart. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sockd.config.endpoint import Endpoint
from sockd.config.specs import AdminSpec, CaptureSpec, StatsSpec
from sockd.errors import SourceLocation

if TYPE_CHECKING:
    from sockd.config.specs import Configuration

_FOLLOWED = {
    "stats": frozenset({"hosts"}),
    "admin": frozenset(
        {"user", "authorized_keys", "passwd", "viewers", "max_sessions", "idle_timeout"}
    ),
    "capture": frozenset[str](),
}
"""The options of each section that a reload applies.

Of endpoints, it applies what can change while the socket listens: backlog and certificates.
"""

_LOCATIONS = "locations"

Spec = TypeVar("Spec", StatsSpec, AdminSpec, CaptureSpec)


def restart(old: Configuration, new: Configuration) -> Iterator[SourceLocation]:
    """Return the locations of the options that were changed and need a restart."""
    if old.state != new.state:
        yield _place(new, "sockd", "state")
    for section, followed in _FOLLOWED.items():
        before, after = getattr(old, section), getattr(new, section)
        if before is None or after is None:
            if before is not after:
                yield _place(new, section, "")
            continue
        for one in fields(after):
            values = getattr(before, one.name), getattr(after, one.name)
            if one.name not in {_LOCATIONS, *followed} and _differ(*values):
                yield _place(new, section, one.name)


def settled(old: Configuration, new: Configuration) -> Configuration:
    """Return the new configuration, but with the old values of options that need a restart."""
    return replace(
        new,
        state=old.state,
        stats=_settled(old.stats, new.stats, _FOLLOWED["stats"]),
        admin=_settled(old.admin, new.admin, _FOLLOWED["admin"]),
        capture=_settled(old.capture, new.capture, _FOLLOWED["capture"]),
    )


def _settled(before: Spec | None, after: Spec | None, followed: frozenset[str]) -> Spec | None:
    if before is None or after is None:
        return before
    names = {one.name for one in fields(after)} - {_LOCATIONS, *followed}
    kept = {name: _kept(getattr(before, name), getattr(after, name)) for name in names}
    return replace(after, **kept)


def _kept(before: Any, after: Any) -> Any:
    """Return the old value; for endpoints, with the new options that can change at any time."""
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return before
    renewed = {one.identity: one for one in after if isinstance(one, Endpoint)}
    return tuple(
        renewed.get(one.identity, one) if isinstance(one, Endpoint) else one for one in before
    )


def _differ(before: object, after: object) -> bool:
    """Return whether two values of an option differ. Endpoints differ if their sockets do."""
    return _comparable(before) != _comparable(after)


def _comparable(value: object) -> object:
    if isinstance(value, tuple):
        return [one.identity if isinstance(one, Endpoint) else one for one in value]
    return value


def _place(new: Configuration, section: str, option: str) -> SourceLocation:
    """Return the location of an option, or else of its section, or else of the file."""
    locations = new.locations
    return (
        locations.get((section, option))
        or locations.get((section, ""))
        or SourceLocation(new.file, 1, section, option)
    )
