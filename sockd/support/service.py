"""Twisted's ``Service`` with types: the bases of everything that is started and stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.application.service import Service

from sockd.support.logger import PartLogger

if TYPE_CHECKING:
    from sockd.errors import BindError


class TypedService(Service):
    """A service that does nothing yet."""

    def startService(self) -> None:
        """Mark the service as running."""
        super().startService()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Mark the service as stopped; ``stopService`` returns what its caller waits for."""
        super().stopService()  # type: ignore[no-untyped-call]


class BindingService(TypedService):
    """A service with listeners of its own, which are bound once: early, or when it starts."""

    _log = PartLogger("sockd")
    _is_bound = False

    def bind(self) -> None:
        """Bind every endpoint, or none; do nothing if that was done.

        :raise sockd.errors.SockdError: with the problems of all endpoints and files.
        """
        if self._is_bound:
            return
        self._is_bound = True
        try:
            self._bind()
        except Exception:
            self._is_bound = False
            raise

    def privilegedStartService(self) -> None:
        """Bind while the process still has its privileges."""
        self.bind()

    def startService(self) -> None:
        """Serve, with the endpoints bound."""
        self.bind()
        super().startService()

    def end(self) -> None:
        """Mark the service as stopped and not bound."""
        self._is_bound = False
        super().end()

    def _bind(self) -> None:
        """Bind every endpoint, or raise and leave none bound."""
        raise NotImplementedError

    def _binding_failed(self, error: BindError) -> None:
        """Handle the failure of an endpoint that binds asynchronously."""
        self._is_bound = False
        self._log.error("{problem}", problem=str(error))
