"""The sections of a configuration as frozen values. Durations are in seconds; 0 means none."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sockd.limits.spec import LimitsSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sockd.config.endpoint import Endpoint
    from sockd.errors import SourceLocation
    from sockd.model.ip import IPNetwork

REFUSE = "refuse"
WAIT = "wait"


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A ``[service:NAME]`` section.

    :ivar location: the first line of the section.
    :ivar listen: at least one endpoint, of a type that the kind supports.
    :ivar strip: whether white space around each message is removed before the reply.
    :ivar replies: a connection is closed after this many replies; 0: never.
    :ivar when_full: :data:`REFUSE` or :data:`WAIT`.
    :ivar idle_timeout: a connection is closed after this time without traffic.
    :ivar proxy: the networks of the load balancers, whose connections begin with a PROXY header.
    :ivar limits: the access rules and rate limits for clients.
    :ivar settings: the values of the options that the kind and the reply declare.
    """

    name: str
    kind: str
    listen: tuple[Endpoint, ...]
    location: SourceLocation
    reply: str = "echo"
    strip: bool = False
    replies: int = 0
    max_connections: int = 1000
    when_full: str = REFUSE
    backlog: int = 50
    idle_timeout: float = 0.0
    proxy: tuple[IPNetwork, ...] = ()
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    settings: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class StatsSpec:
    """The ``[stats]`` section: the HTTP endpoints, and the accepted host names."""

    listen: tuple[Endpoint, ...]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdminSpec:
    """The ``[admin]`` section: the shell's endpoints and logins.

    :ivar locations: the location of each option, for errors in the files that it names.
    :ivar viewers: the files with the keys and passwords of viewers, who can only read.
    :ivar max_sessions: the maximum number of sessions.
    :ivar idle_timeout: a session is closed after this time without input.
    :ivar statement_timeout: a statement that runs longer is interrupted.
    """

    locations: Mapping[str, SourceLocation]
    ssh: tuple[Endpoint, ...] = ()
    telnet: tuple[Endpoint, ...] = ()
    user: str = "admin"
    authorized_keys: Path | None = None
    passwd: Path | None = None
    host_key: Path | None = None
    viewers: tuple[Path, ...] = ()
    max_sessions: int = 10
    idle_timeout: float = 900.0
    statement_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class CaptureSpec:
    """The ``[capture]`` section: the packets that are captured, and the directory for them.

    :ivar locations: the location of each option; the section's own under an empty name.
    :ivar directory: the directory of the files; ``None``: a folder in the state directory.
    :ivar max_size: the maximum size of all files, in bytes.
    :ivar max_age: older files are deleted.
    :ivar payload: whether payload is captured, or only the headers.
    :ivar start: whether the capture starts with the daemon.
    :ivar live: whether every client of the stats endpoint can watch the capture.
    """

    locations: Mapping[str, SourceLocation]
    directory: Path | None = None
    max_size: int = 100 * 1024 * 1024
    max_age: float = 3600.0
    payload: bool = False
    interface: str = "any"
    start: bool = False
    live: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole file.

    :ivar state: the state directory; ``None``: the default one.
    :ivar state_location: the location of that option or its section, for errors with the directory.
    :ivar drain: how long open connections may finish at shutdown.
    :ivar history: the number of closed connections that are kept.
    :ivar fast_path: whether plain TCP connections are echoed past the reactor.
    :ivar io_uring: whether the fast path may use io_uring(7).
    :ivar locations: the location of each section and option, by both names; the option name of a
        section is empty.
    """

    file: str
    name: str
    services: tuple[ServiceSpec, ...]
    state: Path | None = None
    state_location: SourceLocation | None = None
    drain: float = 5.0
    history: int = 1000
    fast_path: bool = True
    io_uring: bool = True
    stats: StatsSpec | None = None
    admin: AdminSpec | None = None
    capture: CaptureSpec | None = None
    locations: Mapping[tuple[str, str], SourceLocation] = field(
        default_factory=lambda: MappingProxyType({})
    )

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints of the file."""
        listen = [endpoint for spec in self.services for endpoint in spec.listen]
        stats = self.stats.listen if self.stats else ()
        admin = (*self.admin.ssh, *self.admin.telnet) if self.admin else ()
        return (*listen, *stats, *admin)
