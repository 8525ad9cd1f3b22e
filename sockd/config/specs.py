"""What a configuration says, as frozen values. Durations are in seconds; 0 means none."""

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

    :ivar location: where the section begins.
    :ivar listen: at least one endpoint, of the sort that the kind serves.
    :ivar strip: drop white space around each message before replying.
    :ivar replies: close a connection after this many replies; 0: never.
    :ivar when_full: :data:`REFUSE` or :data:`WAIT`.
    :ivar idle_timeout: close a connection after this long without traffic.
    :ivar proxy: the networks of the balancers, whose connections begin with a PROXY header.
    :ivar limits: who may come in, and how much they may have.
    :ivar settings: the values of the options that the kind or the reply declares itself.
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
    """The ``[stats]`` section: where HTTP listens, and the names it answers to."""

    listen: tuple[Endpoint, ...]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdminSpec:
    """The ``[admin]`` section: where the shell listens and who may come in.

    :ivar locations: where each option of the section stands, for errors in the files they name.
    :ivar viewers: files with the keys and passwords of those who may only read.
    :ivar max_sessions: how many may be logged in at once.
    :ivar idle_timeout: show out whoever has pressed no key for this long.
    :ivar statement_timeout: interrupt a statement that runs longer.
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
    """The ``[capture]`` section: what of the services' traffic is written down, and where.

    :ivar locations: where each option of the section stands; the section itself under no name.
    :ivar directory: where the files go; ``None``: a folder in the state directory.
    :ivar max_size: the most that all files may take, in bytes.
    :ivar max_age: files that are older are removed.
    :ivar payload: whether more than the headers is written.
    :ivar start: whether the capture runs from the start.
    :ivar live: whether anybody who can reach the stats endpoint may watch.
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

    :ivar state: the directory for what sockd makes; ``None``: the default one.
    :ivar state_location: where that stands, or would stand, for errors with the directory.
    :ivar drain: how long live connections may finish at shutdown.
    :ivar history: how many closed connections are remembered.
    :ivar fast_path: whether plain TCP connections are echoed past the reactor.
    :ivar io_uring: whether the lane may use io_uring(7).
    :ivar locations: where each section and each option of the file stands, the section under its
        name and an empty one.
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
        """Every endpoint that the file names."""
        listen = [endpoint for spec in self.services for endpoint in spec.listen]
        stats = self.stats.listen if self.stats else ()
        admin = (*self.admin.ssh, *self.admin.telnet) if self.admin else ()
        return (*listen, *stats, *admin)
