"""Twisted's ``Service`` with types: the base of everything that is started and stopped."""

from __future__ import annotations

from twisted.application.service import Service


class TypedService(Service):
    """A service that does nothing yet."""

    def startService(self) -> None:
        """Take note that it runs."""
        super().startService()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Take note that it does not run any more; ``stopService`` returns what it waits for."""
        super().stopService()  # type: ignore[no-untyped-call]
