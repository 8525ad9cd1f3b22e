"""Twisted's ``Service`` with types: the bases of everything that is started and stopped."""

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


class BindingService(TypedService):
    """A service with ports of its own."""

    def bind(self) -> None:
        """Bind every endpoint, or none; do nothing if that was done.

        :raise sockd.errors.SockdError: with what cannot be had.
        """
        raise NotImplementedError

    def privilegedStartService(self) -> None:
        """Bind while the process still has its privileges."""
        self.bind()

    def startService(self) -> None:
        """Serve, with the ports bound."""
        self.bind()
        super().startService()
