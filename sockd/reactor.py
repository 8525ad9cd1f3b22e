"""The type of the reactor that sockd is given.

This module imports no reactor: the first import of ``twisted.internet.reactor`` installs the
default reactor, and ``twistd --reactor`` would have no effect.
"""

from __future__ import annotations

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorProcess,
    IReactorThreads,
    IReactorTime,
)


class IReactor(IReactorCore, IReactorFDSet, IReactorProcess, IReactorThreads, IReactorTime):
    """A reactor with the interfaces that sockd uses."""
