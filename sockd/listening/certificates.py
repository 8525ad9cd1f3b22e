"""Reads the certificates of a TLS endpoint again, for a socket that goes on listening.

Twisted reads them when it makes the endpoint, and binds a port for them. Here it makes the endpoint
once more, on a reactor that binds nothing, and what would serve the clients of that port serves
those of the old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet import tcp
from twisted.internet.interfaces import IOpenSSLContextFactory, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from sockd.config.endpoint import Endpoint
from sockd.errors import Unfit
from sockd.listening.endpoints import server_endpoint
from sockd.reactor import IReactor
from sockd.text import quoted

if TYPE_CHECKING:
    from twisted.internet.protocol import Factory


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
