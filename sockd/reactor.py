"""The reactor as a type: what sockd asks of the one that it is handed.

Nothing here imports one: the first import of ``twisted.internet.reactor`` installs the default
reactor, whatever ``twistd --reactor`` says afterwards.
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
    """A reactor that keeps time, watches descriptors and processes, and can be woken by threads."""
