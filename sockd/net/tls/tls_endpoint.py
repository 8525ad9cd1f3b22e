"""TLS endpoints, and the renewal of certificates while they listen."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from sockd.config.endpoint import Endpoint
from sockd.errors import InvalidValue
from sockd.net.tls.certificates import ServerCertificates, certificates_of
from sockd.reactor import IReactor
from sockd.support.logger import PartLogger
from sockd.support.text import quoted

_BACKLOG = "50"
"""Twisted's default backlog."""


class TLSFactory(TLSMemoryBIOFactory):
    """A factory of TLS connections that knows its certificates."""

    def __init__(self, certificates: ServerCertificates, wrapped: IProtocolFactory) -> None:
        super().__init__(certificates.options, False, wrapped)
        self.certificates = certificates


@implementer(IStreamServerEndpoint)
class TLSEndpoint:
    """An ``ssl:`` or ``tls:`` endpoint. Its files are read when it is created.

    :raise InvalidValue: if the files are not usable.
    """

    def __init__(self, reactor: IReactor, endpoint: Endpoint) -> None:
        self._certificates = certificates_of(endpoint)
        make = TCP6ServerEndpoint if ":" in endpoint.host else TCP4ServerEndpoint
        backlog = int(endpoint.parameter("backlog") or _BACKLOG)
        self._endpoint: IStreamServerEndpoint = make(
            reactor, endpoint.port or 0, backlog, endpoint.host
        )

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Bind the port; return a Deferred that fires with it."""
        listening: Deferred[IListeningPort] = self._endpoint.listen(
            TLSFactory(self._certificates, protocolFactory)
        )
        return listening


def renew(endpoint: Endpoint, port: tcp.Port) -> None:
    """Read the certificates of an endpoint again and use them for new clients of a port.

    Open connections keep the old certificates. The files were checked when the configuration was
    read. If they have become unusable, the old certificates stay in use.
    """
    log = PartLogger("sockd")
    current = port.factory
    if not isinstance(current, TLSFactory):
        return
    try:
        renewed = TLSFactory(certificates_of(endpoint), current.wrappedFactory)
    except InvalidValue as invalid:
        log.error(
            "The old certificate stays in use: {problem}",
            problem=str(invalid.at(endpoint.location)),
        )
        return
    _replace(port, current, renewed)
    log.info("{endpoint}: the certificate was read again", endpoint=quoted(endpoint.text))


def _replace(port: tcp.Port, old: TLSMemoryBIOFactory, new: TLSMemoryBIOFactory) -> None:
    new.doStart()
    port.factory = cast("Factory[Any]", new)
    old.doStop()


def not_after(port: IListeningPort) -> float | None:
    """Return the earliest expiry time of a port's certificates, in seconds since the epoch.

    ``None`` if the port has no certificates.
    """
    factory = port.factory if isinstance(port, tcp.Port) else None
    return factory.certificates.not_after if isinstance(factory, TLSFactory) else None
