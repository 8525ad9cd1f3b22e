"""The reactor that twistd has chosen by the time it comes to its subcommand."""

from __future__ import annotations

from typing import cast

from sockd.reactor import IReactor


def chosen_reactor() -> IReactor:
    """Return the reactor; nothing may call this before twistd has read its own options."""
    from twisted.internet import reactor

    return cast(IReactor, reactor)


def reactor_name(reactor: IReactor) -> str:
    """Return what ``twistd --reactor`` calls a reactor."""
    return type(reactor).__name__.removesuffix("Reactor").lower()


def is_select(reactor: IReactor) -> bool:
    """Return whether a reactor is limited to the descriptors that select(2) can watch."""
    return reactor_name(reactor) == "select"
