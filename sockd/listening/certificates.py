"""Reads the certificates of a TLS endpoint, without binding it.

Twisted reads them when it makes the endpoint, and binds a port for them. Here it makes the endpoint
on a reactor that binds nothing: to see whether there is a certificate, and to have what would serve
the clients of that port serve those of one that goes on listening.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.interfaces import IOpenSSLContextFactory, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from sockd.config.endpoint import Endpoint
from sockd.errors import Unfit
from sockd.listening.endpoints import server_endpoint
from sockd.reactor import IReactor
from sockd.text import quoted

_FOLDER_REMEDY = (
    "a file that ends in .pem in that folder, with a key and a certificate whose subjectAltName"
    " has DNS:HOST"
)


class _Unbound:
    """A reactor, as far as TLS endpoints need one to listen, that does not."""

    factory: TLSMemoryBIOFactory | None = None

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 0, interface: str = ""
    ) -> None:
        """Take note of a factory that speaks TLS itself."""
        if isinstance(factory, TLSMemoryBIOFactory):
            self.factory = factory

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: IOpenSSLContextFactory,
        backlog: int = 0,
        interface: str = "",
    ) -> None:
        """Take note of a factory, once it speaks TLS."""
        self.factory = TLSMemoryBIOFactory(contextFactory, False, factory)


class _Nowhere:
    """A transport, as far as the first step of a handshake needs one."""

    def write(self, data: bytes) -> None:
        """Drop the data."""


def check_certificates(endpoint: Endpoint) -> None:
    """See whether clients would be shown a certificate.

    :raise Unfit: if there is none, as in a folder that has none with its key and a host's name.
    """
    unbound = _Unbound()
    server_endpoint(cast("IReactor", unbound), endpoint).listen(Factory.forProtocol(Protocol))
    if unbound.factory is not None:
        tls = unbound.factory.buildProtocol(None)
        tls.makeConnection(_Nowhere())
        if tls.getHandle().get_certificate() is None:
            wrong = f"{quoted(endpoint.text)} has no certificate to show"
            raise Unfit(wrong, _FOLDER_REMEDY)


def renew(endpoint: Endpoint, port: tcp.Port) -> None:
    """Serve the next clients of a port by the certificates that an endpoint names.

    Those that are connected stay with what they have. That the files are fit to use was found when
    the configuration was read; should they not be so any more, the old ones stay in use.
    """
    log = Logger(__name__)
    current = port.factory
    if not isinstance(current, TLSMemoryBIOFactory):
        return
    unbound = _Unbound()
    try:
        made = server_endpoint(cast("IReactor", unbound), endpoint)
    except Unfit as unfit:
        log.error(
            "The old certificate stays in use: {problem}", problem=str(unfit.at(endpoint.place))
        )
        return
    made.listen(current.wrappedFactory)
    if unbound.factory is not None:
        unbound.factory.doStart()
        port.factory = cast("Factory[Any]", unbound.factory)
        current.doStop()
        log.info("{endpoint}: the certificate was read again", endpoint=quoted(endpoint.text))
