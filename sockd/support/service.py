"""Typed base classes of services, on top of Twisted's ``Service``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.application.service import Service

from sockd.support.logger import PartLogger

if TYPE_CHECKING:
    from sockd.errors import BindError


class TypedService(Service):
    """Twisted's ``Service`` with type annotations."""

    def startService(self) -> None:
        """Mark the service as running."""
        super().startService()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Mark the service as stopped; for ``stopService`` of subclasses, which returns more."""
        super().stopService()  # type: ignore[no-untyped-call]


class BindingService(TypedService):
    """A service with listeners of its own, which are bound once: early, or when it starts."""

    _log = PartLogger("sockd")
    _is_bound = False

    def bind(self) -> None:
        """Bind all endpoints, or none; do nothing if they are bound.

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
        """Bind before the process drops its privileges."""
        self.bind()

    def startService(self) -> None:
        """Bind the endpoints and start serving."""
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
