"""The joints of sockd: what a reply, a kind, a running service and the daemon promise.

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
    """What is said to one peer: bytes in, bytes out, and no socket in sight."""

    done: bool = Attribute("True once there is nothing more to say: the connection is closed.")

    def greet() -> bytes:
        """Return what is said before the peer says anything; datagram services do not ask."""

    def answer(data: bytes) -> bytes | None:
        """Return the reply to what the peer said, or ``None`` where it gets none.

        Over a stream ``data`` is whatever one read brought; over UDP it is one datagram, and the
        reply is one too, an empty one included; one that is longer than ``data`` is not sent.
        """


class IReply(IPlugin):
    """What a service says. One object serves all its peers."""

    name: str = Attribute("The word behind `reply =`.")

    identity: bool = Attribute(
        "True if every answer is the very bytes that were received, and the conversation is never"
        " done: then sockd need not ask."
    )

    options: Sequence[Option[object]] = Attribute("Options of its own, read into `settings`.")

    def converse(service: ServiceSpec, peer: Address) -> IConversation:
        """Begin a conversation with a peer of a service."""


class IServiceKind(IPlugin):
    """How peers are served. One object makes the services of all sections that name it."""

    name: str = Attribute("The word behind `kind =`.")

    datagrams: bool = Attribute("True if it listens on `udp:` endpoints, False for streams.")

    options: Sequence[Option[object]] = Attribute("Options of its own, read into `settings`.")

    def serve(spec: ServiceSpec, reply: IReply, context: ServiceContext) -> INetworkService:
        """Return the service of a section, not yet started."""


class ICountsDescriptors(Interface):
    """A kind that knows how many descriptors its services need; an option for kinds.

    For others the listeners and ``max_connections`` of the section are counted.
    """

    def descriptors(spec: ServiceSpec) -> int:
        """Return how many a section may need, its listeners included."""


class INetworkService(IService):
    """A running section of the configuration."""

    record: ServiceRecord = Attribute("Its account in the ledger.")

    def privilegedStartService() -> None:
        """Bind the endpoints.

        :raise sockd.errors.BindError: if one of them cannot be had; then none is held.
        """

    def startService() -> None:
        """Serve; bind the endpoints unless that was done."""

    def stopService() -> Deferred[None]:
        """Stop accepting, let live connections finish for the drain time, close the rest."""

    def waiting(listener: Listener) -> int | None:
        """Return how many clients the kernel has connected that were not accepted yet."""

    def disconnect(connection: int) -> bool:
        """Close a connection by its number; return whether it was one of this service's."""

    def hurry() -> None:
        """Close what is left at once, if it is draining; otherwise do nothing."""

    def tcp_info(connection: int) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection, ``None`` where it has none."""


class IReloadableService(INetworkService):
    """A service whose section may change while it runs.

    A reload first prepares all services, which may fail, and lets the reactor have its turn in
    between. Then it has services release what they do not need any more, and reconfigures them,
    which cannot fail. For services that give sockets to each other that is one call from the
    reactor: nobody is accepted in between.
    """

    def prepare(spec: ServiceSpec, endpoints: Sequence[Endpoint]) -> None:
        """Bind endpoints of a section to come, and leave them, unread, with the spare sockets.

        It is called for a few of them at a time, and with none if there are none to bind.

        :raise sockd.errors.BindError: if one of them cannot be had.
        """

    def release(kept: Sequence[Endpoint]) -> None:
        """Leave the sockets that are not among these with the spare ones; they go on listening."""

    def reconfigure(spec: ServiceSpec, reply: IReply, context: ServiceContext) -> None:
        """Serve the next clients by another section.

        A conversation that is under way goes on with its reply, whatever the section says now.
        What it listens on, and does not hold already, is among the spare sockets.
        """


class IReloadableView(IService):
    """A view of the services, such as the admin shell, whose section may change while it runs."""

    def prepare(configuration: Configuration) -> Callable[[], None]:
        """Read everything that may be wrong; return what follows it, which cannot fail.

        :param configuration: a configuration to come, with what stays as it is until a restart.
        :raise sockd.errors.SockdError: with all that is wrong.
        """


class ILiveCapture(Interface):
    """The packets for one viewer, as they come."""

    def slices() -> Iterator[bytes | Deferred[None]]:
        """Return parts of a pcapng stream, and in between what fires when there is more.

        :raise sockd.errors.CaptureError: if there are none to be had.
        """

    def close() -> object:
        """End it: the viewer is gone."""


class ICapture(Interface):
    """The capture of what passes through the services' ports."""

    is_live: bool = Attribute("Whether people may watch.")

    def status() -> Mapping[str, object]:
        """Return how it goes, as plain values."""

    def start() -> Deferred[None]:
        """Begin to write files; return what fires when that has begun, or failed."""

    def stop() -> Deferred[None]:
        """End the files; return what fires when the last packets are written."""

    def watch() -> ILiveCapture:
        """Return the packets for one more viewer."""


class IDaemon(Interface):
    """The whole of it, as the stats endpoint and the admin shell see it."""

    name: str = Attribute("The name of this daemon.")
    started: float = Attribute("When it started, in seconds since the epoch.")
    reactor_name: str = Attribute("Which reactor runs it, such as `epoll`.")
    ledger: Ledger = Attribute("Who is connected and what has passed.")
    services: Mapping[str, INetworkService] = Attribute("The services by name.")
    draining: bool = Attribute("True once it is shutting down.")
    capture: ICapture | None = Attribute("What is on the wire; `None` if nobody asked for it.")

    def disconnect(connection: int) -> bool:
        """Close an open connection by its number; return whether there was one."""

    def tcp_info(connection: Connection) -> Mapping[str, object] | None:
        """Return the kernel's view of an open connection, ``None`` where it has none.

        A service that was replaced may have it still, under the name of the one that is there now.
        """

    def stop(name: str) -> Deferred[None]:
        """Stop a service; return a Deferred that fires when its connections are gone.

        :raise KeyError: if there is no such service.
        """

    def start(name: str) -> None:
        """Start a stopped service again.

        :raise KeyError: if there is no such service.
        :raise sockd.errors.BindError: if it cannot have its port any more.
        :raise sockd.errors.ConfigurationError: if it was removed, and is only here to drain.
        """

    def reload() -> Deferred[Plan]:
        """Read the configuration again and follow it.

        :return: what fires with what was done; or fails with :class:`sockd.errors.SockdError`, and
            nothing was changed.
        """
