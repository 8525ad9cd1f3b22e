"""The interfaces of replies, kinds, running services, the capture and the daemon.

A plugin provides :class:`IReply` or :class:`IServiceKind`; see ``docs/plugins.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.application.service import IService
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sockd.config.endpoint import Endpoint
    from sockd.config.specs import Configuration, ServiceSpec
    from sockd.config.values import Option
    from sockd.model.address import Address
    from sockd.model.ledger import Ledger
    from sockd.model.records import Connection, Listener, ServiceRecord
    from sockd.reload.plan import Plan
    from sockd.services.context import ServiceContext


class IConversation(Interface):
    """The conversation of a reply with one peer. It converts bytes to bytes, without a socket."""

    done: bool = Attribute("True when the conversation is over: the connection is then closed.")

    def greet() -> bytes:
        """Return the bytes to send when a connection is accepted; not called for datagrams."""

    def answer(data: bytes) -> bytes | None:
        """Return the answer to input of the peer, or ``None`` to send nothing.

        On a stream, ``data`` is the result of one read. Over UDP, ``data`` is one datagram and the
        answer is one datagram, which may be empty. An answer that is longer than its request is
        not sent over UDP.
        """


class IReply(IPlugin):
    """A reply: it determines the answers of a service. One object serves all peers."""

    name: str = Attribute("The value of `reply =` that selects it.")

    identity: bool = Attribute(
        "True if every answer equals the input and the conversation is never done; sockd may then"
        " bypass the reply."
    )

    options: Sequence[Option[object]] = Attribute("Its own options, read into `settings`.")

    def converse(service: ServiceSpec, peer: Address) -> IConversation:
        """Return a conversation with a peer of a service."""


class IServiceKind(IPlugin):
    """A kind of services. One object creates the services of all sections that name it."""

    name: str = Attribute("The value of `kind =` that selects it.")

    datagrams: bool = Attribute("True if it listens on `udp:` endpoints, False for streams.")

    options: Sequence[Option[object]] = Attribute("Its own options, read into `settings`.")

    def serve(spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return a new service for a section, not started yet."""


class ICountsDescriptors(Interface):
    """An optional interface of kinds that know how many descriptors their services need.

    For other kinds, sockd counts the listeners and ``max_connections`` of the section.
    """

    def descriptors(spec: ServiceSpec) -> int:
        """Return the number of descriptors that a section may need, listeners included."""


class INetworkService(IService):
    """A running service."""

    record: ServiceRecord = Attribute("Its record in the ledger.")

    def privilegedStartService() -> None:
        """Bind the endpoints.

        :raise sockd.errors.BindError: if an endpoint cannot be bound; then none stays bound.
        """

    def startService() -> None:
        """Start serving; bind the endpoints unless they are bound."""

    def stopService() -> Deferred[None]:
        """Stop accepting, drain open connections, and close the rest after the drain time.

        :return: a Deferred that fires when all connections are closed.
        """

    def waiting(listener: Listener) -> int | None:
        """Return the number of clients in a listener's accept queue; ``None`` if unknown."""

    def disconnect(connection: int) -> bool:
        """Close a connection by its number; return whether this service had it."""

    def hurry() -> None:
        """Close the remaining connections if the service is draining; otherwise do nothing."""

    def tcp_info(connection: int) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection; ``None`` if there is none."""


class IReloadableService(INetworkService):
    """A service whose section may change while it runs.

    A reload first calls :meth:`prepare` of all services, which may fail; the reactor runs in
    between. Then it calls :meth:`release` and :meth:`reconfigure`, which must not fail. For
    services that pass sockets to each other, these calls happen in one reactor turn, so that no
    client is accepted in between.
    """

    def prepare(spec: ServiceSpec, endpoints: Sequence[Endpoint]) -> None:
        """Bind endpoints of the new section and add them to the spare sockets, without accepting.

        It is called for a few endpoints at a time, and once without any if there are none to bind.

        :raise sockd.errors.BindError: if an endpoint cannot be bound.
        """

    def release(kept: Sequence[Endpoint]) -> None:
        """Move all sockets except those of ``kept`` to the spare sockets; they keep listening."""

    def reconfigure(spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        """Apply a new section to new clients.

        Open conversations keep their reply. The sockets of the section that the service does not
        have yet are among the spare sockets.
        """


class IReloadableView(IService):
    """A view of the services, such as the admin shell, whose section may change while it runs."""

    def prepare(configuration: Configuration) -> Callable[[], None]:
        """Check the new configuration; return a function that applies it and must not fail.

        :param configuration: the new configuration, with the old values of options that take
            effect after a restart.
        :raise sockd.errors.SockdError: with all problems.
        """


class ILiveCapture(Interface):
    """A live stream of captured packets for one viewer."""

    def slices() -> Iterator[bytes | Deferred[None]]:
        """Return parts of a pcapng stream.

        When no data is available, the iterator returns a Deferred that fires when there is more.

        :raise sockd.errors.CaptureError: if packets cannot be captured.
        """

    def close() -> object:
        """Stop the stream; the viewer has disconnected."""


class ICapture(Interface):
    """The packet capture of the services' ports."""

    is_live: bool = Attribute("Whether live streams are allowed.")

    def status() -> Mapping[str, object]:
        """Return the status as JSON values."""

    def start() -> Deferred[None]:
        """Start writing files; return a Deferred that fires when that has started or failed."""

    def stop() -> Deferred[None]:
        """Stop writing files; return a Deferred that fires when the last packets are written."""

    def watch() -> ILiveCapture:
        """Return a live stream for a new viewer."""


class IDaemon(Interface):
    """The daemon, as the stats endpoint and the admin shell see it."""

    name: str = Attribute("The name of this daemon.")
    started: float = Attribute("The start time, in seconds since the epoch.")
    reactor_name: str = Attribute("The name of the reactor, such as `epoll`.")
    ledger: Ledger = Attribute("The records of all services and connections.")
    services: Mapping[str, INetworkService] = Attribute("The services by name.")
    draining: bool = Attribute("True while it is shutting down.")
    capture: ICapture | None = Attribute("The packet capture; `None` if it is not configured.")

    def disconnect(connection: int) -> bool:
        """Close an open connection by its number; return whether there was one."""

    def tcp_info(connection: Connection) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection; ``None`` if there is none.

        The connection may belong to a service that was replaced and is draining, while another
        service has its name.
        """

    def stop(name: str) -> Deferred[None]:
        """Stop a service; return a Deferred that fires when its connections are closed.

        :raise KeyError: if the service does not exist.
        """

    def start(name: str) -> None:
        """Start a stopped service again.

        :raise KeyError: if the service does not exist.
        :raise sockd.errors.BindError: if an endpoint cannot be bound.
        :raise sockd.errors.ConfigurationError: if the service was removed and is draining.
        """

    def reload() -> Deferred[Plan]:
        """Read the configuration again and apply it.

        :return: a Deferred that fires with the changes. If it fails with
            :class:`sockd.errors.SockdError`, nothing was changed.
        """
