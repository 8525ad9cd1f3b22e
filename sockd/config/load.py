"""Reading a file into a :class:`~sockd.config.specs.Configuration`, or all its errors."""

from __future__ import annotations

import platform
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from sockd.config import ini
from sockd.config.endpoint import (
    DATAGRAM,
    Endpoint,
    parse_any,
    parse_datagram,
    parse_private,
    parse_stream,
    unchecked,
)
from sockd.config.limits import read_limits
from sockd.config.occupied import Occupied
from sockd.config.options import SectionOptions
from sockd.config.proxy import read_proxy
from sockd.config.specs import (
    REFUSE,
    WAIT,
    AdminSpec,
    CaptureSpec,
    Configuration,
    ServiceSpec,
    StatsSpec,
)
from sockd.config.values import (
    Option,
    boolean,
    choice,
    duration,
    host_name,
    integer,
    interface_name,
    known,
    line,
    size_from,
    user_name,
)
from sockd.errors import ConfigurationError, Problem, SourceLocation
from sockd.limits.spec import LimitsSpec
from sockd.support.files import LARGEST_FILE, NotRegularError, read_regular, reason
from sockd.support.steps import Steps, finished
from sockd.support.text import nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sockd.config.endpoint import EndpointCheck

_CHECK_PATH = "check the path after -c"
_SERVICE = "service:"
_SERVICE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class DeclaresOptions(Protocol):
    """A reply or a kind, as far as the parser needs it."""

    options: Sequence[Option[object]]


class DeclaresTransport(DeclaresOptions, Protocol):
    """A kind of service, as far as the parser needs it.

    :ivar datagrams: whether it listens on ``udp:`` endpoints.
    """

    datagrams: bool


AdminCheck = Callable[[AdminSpec], Iterable[Problem]]
"""Returns the problems of the files that ``[admin]`` names."""


def unchecked_admin(spec: AdminSpec) -> Iterable[Problem]:
    """Return no problems: the files are not checked."""
    return ()


def load(
    path: Path,
    kinds: Mapping[str, DeclaresTransport],
    replies: Mapping[str, DeclaresOptions],
    missing: str = "",
    check: EndpointCheck = unchecked,
    check_admin: AdminCheck = unchecked_admin,
) -> Configuration:
    """Read a file. A large one takes half a second.

    :param kinds: the installed service kinds, by name.
    :param replies: the installed replies, by name.
    :param missing: why a kind or a reply may be missing, for error messages.
    :param check: checks each endpoint after it was parsed, for example with Twisted.
    :param check_admin: returns the problems of the files that ``[admin]`` names.
    :raise ConfigurationError: with every error of the file.
    """
    return finished(load_in_steps(path, kinds, replies, missing, check, check_admin))


def load_in_steps(
    path: Path,
    kinds: Mapping[str, DeclaresTransport],
    replies: Mapping[str, DeclaresOptions],
    missing: str = "",
    check: EndpointCheck = unchecked,
    check_admin: AdminCheck = unchecked_admin,
) -> Steps[Configuration]:
    """Do the same as :func:`load` in steps of about one endpoint."""
    file = str(path)
    text = _text(file, path)
    return (yield from _parse(file, text, kinds, replies, missing, check, check_admin))


def parse(
    file: str,
    text: str,
    kinds: Mapping[str, DeclaresTransport],
    replies: Mapping[str, DeclaresOptions],
    missing: str = "",
    check: EndpointCheck = unchecked,
    check_admin: AdminCheck = unchecked_admin,
) -> Configuration:
    """Parse the text of a file; otherwise like :func:`load`."""
    return finished(_parse(file, text, kinds, replies, missing, check, check_admin))


def _parse(
    file: str,
    text: str,
    kinds: Mapping[str, DeclaresTransport],
    replies: Mapping[str, DeclaresOptions],
    missing: str,
    check: EndpointCheck,
    check_admin: AdminCheck,
) -> Steps[Configuration]:
    document = yield from ini.read_in_steps(file, text)
    reader = _ConfigurationReader(document, kinds, replies, missing, check, check_admin)
    configuration = yield from reader.configuration()
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return configuration


def _text(file: str, path: Path) -> str:
    """Return the text of a file, with the line ends that :func:`open` would return."""
    data = _bytes(file, path).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\0" in data:
        number = _line_of(data, data.index(b"\0"))
        raise _unreadable(file, number, "the file is binary", "an INI file in UTF-8")
    try:
        return data.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        number = _line_of(error.object, error.start)
        raise _unreadable(file, number, "the line is not UTF-8", "save the file as UTF-8") from None


def _bytes(file: str, path: Path) -> bytes:
    try:
        data = read_regular(path, LARGEST_FILE)
    except OSError as error:
        message = f"the file cannot be read: {reason(error)}"
        is_not_regular = isinstance(error, NotRegularError)
        hint = "it must be a regular file" if is_not_regular else _CHECK_PATH
        raise _unreadable(file, 1, message, hint) from None
    if len(data) > LARGEST_FILE and b"\0" not in data:
        message = f"the file is longer than {LARGEST_FILE} bytes"
        raise _unreadable(
            file, _line_of(data, LARGEST_FILE), message, "check that it is a configuration file"
        )
    return data


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _unreadable(file: str, number: int, message: str, hint: str) -> ConfigurationError:
    return ConfigurationError([Problem(SourceLocation(file, number), message, hint)])


class _ConfigurationReader:
    """Builds the configuration from a document, and collects all problems."""

    def __init__(
        self,
        document: ini.Document,
        kinds: Mapping[str, DeclaresTransport],
        replies: Mapping[str, DeclaresOptions],
        missing: str,
        check: EndpointCheck,
        check_admin: AdminCheck,
    ) -> None:
        self._document = document
        self._kinds = kinds
        self._replies = replies
        self._missing = missing
        self._check = check
        self._check_admin = check_admin
        self.problems = list(document.problems)
        self._idle_timeout = 0.0
        self._limits = LimitsSpec()

    def configuration(self) -> Steps[Configuration]:
        """Return the configuration, which is valid only if :attr:`problems` is empty."""
        services: list[ServiceSpec] = []
        stats: StatsSpec | None = None
        admin: AdminSpec | None = None
        capture: CaptureSpec | None = None
        daemon = self._options(self._document.sections.get("sockd", ini.Section("sockd", 1)))
        self._idle_timeout = daemon.value_or("idle_timeout", duration, self._idle_timeout)
        self._limits = read_limits(daemon, self._limits)
        for section in self._document.sections.values():
            if section.name.startswith(_SERVICE):
                services.append((yield from self._service(section)))
            elif section.name == "stats":
                stats = self._stats(section)
            elif section.name == "admin":
                admin = self._admin(section)
                self.problems += self._check_admin(admin)
            elif section.name == "capture":
                capture = self._capture(section)
            elif section.name != "sockd":
                self._unknown_section(section)
        locations = yield from self._locations()
        configuration = self._daemon(daemon, tuple(services), stats, admin, capture, locations)
        yield from self._check_collisions(configuration.endpoints)
        if not services and not self.problems:
            location = SourceLocation(self._document.file, 1)
            hint = "add a section such as [service:echo] with kind and listen"
            self.problems.append(Problem(location, "no services are defined", hint))
        return configuration

    def _daemon(
        self,
        options: SectionOptions,
        services: tuple[ServiceSpec, ...],
        stats: StatsSpec | None,
        admin: AdminSpec | None,
        capture: CaptureSpec | None,
        locations: Mapping[tuple[str, str], SourceLocation],
    ) -> Configuration:
        with options:
            return Configuration(
                file=self._document.file,
                name=options.value("name", line, "") or platform.node(),
                services=services,
                state=options.path("state"),
                state_location=options.location("state"),
                drain=options.value("drain", duration, "5s"),
                history=options.value("history", integer(0, 100_000), "1000"),
                fast_path=self._fast_path(options),
                io_uring=options.value("io_uring", boolean, "yes"),
                stats=stats,
                admin=admin,
                capture=capture,
                locations=MappingProxyType(locations),
            )

    def _fast_path(self, options: SectionOptions) -> bool:
        """Return the option ``fast_path``; ``lane`` is its name in older files."""
        return options.value_or("fast_path", boolean, options.value("lane", boolean, "yes"))

    def _locations(self) -> Steps[dict[tuple[str, str], SourceLocation]]:
        locations = {}
        for section in self._document.sections.values():
            options = self._options(section)
            for name in ("", *section.entries):
                locations[section.name, name] = options.location(name)
            yield
        return locations

    def _service(self, section: ini.Section) -> Steps[ServiceSpec]:
        name = section.name.removeprefix(_SERVICE)
        options = self._options(section)
        if not _SERVICE_NAME.fullmatch(name):
            message = f"{quoted(name)} is not a valid service name"
            hint = "[service:NAME] with 1 to 64 letters, digits, dots, underscores and hyphens"
            options.complain("", message, hint)
        with options:
            kind = options.word("kind", known("kind", tuple(self._kinds), self._missing), "")
            reply = options.word(
                "reply", known("reply", tuple(self._replies), self._missing), "echo"
            )
            listen = yield from self._listen(options, kind)
            return ServiceSpec(
                name=name,
                kind=kind,
                reply=reply,
                location=options.location(),
                listen=listen,
                strip=options.value("strip", boolean, "no"),
                replies=options.value("replies", integer(0, 10**9), "0"),
                max_connections=options.value("max_connections", integer(1, 1_000_000), "1000"),
                when_full=options.value("when_full", choice(REFUSE, WAIT), REFUSE),
                backlog=options.value("backlog", integer(1, 65535), "50"),
                idle_timeout=options.value_or("idle_timeout", duration, self._idle_timeout),
                proxy=read_proxy(options, listen),
                limits=read_limits(options, self._limits),
                settings=self._settings(options, kind, reply),
            )

    def _listen(self, options: SectionOptions, kind: str) -> Steps[tuple[Endpoint, ...]]:
        """Return the endpoints of a service; any endpoint is accepted for an unknown kind."""
        parse, example = parse_any, "tcp"
        if kind in self._kinds:
            datagrams = self._kinds[kind].datagrams
            parse, example = (parse_datagram, DATAGRAM) if datagrams else (parse_stream, "tcp")
        options.require("listen", f"an endpoint such as {example}:65432:interface=127.0.0.1")
        return (yield from options.endpoints_in_steps("listen", parse, ""))

    def _settings(self, options: SectionOptions, kind: str, reply: str) -> Mapping[str, object]:
        """Return the values of the options that the kind and the reply declare."""
        declared = [
            *(self._kinds[kind].options if kind in self._kinds else ()),
            *(self._replies[reply].options if reply in self._replies else ()),
        ]
        return MappingProxyType(
            {
                option.name: options.value(option.name.lower(), option.parse, option.default)
                for option in declared
            }
        )

    def _stats(self, section: ini.Section) -> StatsSpec:
        with self._options(section) as options:
            return StatsSpec(
                listen=options.endpoints("listen", parse_stream, "tcp:8007:interface=127.0.0.1"),
                hosts=options.values("hosts", lambda text, _: host_name(text)),
            )

    def _admin(self, section: ini.Section) -> AdminSpec:
        with self._options(section) as options:
            return AdminSpec(
                locations=MappingProxyType(
                    {
                        name: options.location(name)
                        for name in (
                            *("ssh", "telnet", "authorized_keys", "passwd"),
                            *("host_key", "viewers"),
                        )
                    }
                ),
                ssh=options.endpoints("ssh", parse_stream, "tcp:2222:interface=127.0.0.1"),
                telnet=options.endpoints("telnet", parse_private, ""),
                user=options.value("user", user_name, "admin"),
                authorized_keys=options.path("authorized_keys"),
                passwd=options.path("passwd"),
                host_key=options.path("host_key"),
                viewers=options.paths("viewers"),
                max_sessions=options.value("max_sessions", integer(1, 1000), "10"),
                idle_timeout=options.value("idle_timeout", duration, "15m"),
                statement_timeout=options.value("statement_timeout", duration, "5s"),
            )

    def _capture(self, section: ini.Section) -> CaptureSpec:
        with self._options(section) as options:
            return CaptureSpec(
                locations=MappingProxyType(
                    {name: options.location(name) for name in ("", "directory", "interface")}
                ),
                directory=options.path("directory"),
                max_size=options.value("max_size", size_from("1MiB"), "100MiB"),
                max_age=options.value("max_age", duration, "1h"),
                payload=options.value("payload", boolean, "no"),
                interface=options.value("interface", interface_name, "any"),
                start=options.value("start", boolean, "no"),
                live=options.value("live", boolean, "no"),
            )

    def _unknown_section(self, section: ini.Section) -> None:
        message = f"unknown section {quoted(section.name)}"
        service = f"{_SERVICE}{section.name.partition(':')[2] or 'NAME'}"
        hint = nearest(section.name, ("sockd", service, "stats", "admin", "capture"))
        self._options(section).complain("", message, hint)

    def _options(self, section: ini.Section) -> SectionOptions:
        return SectionOptions(self._document.file, section, self.problems, self._check)

    def _check_collisions(self, endpoints: tuple[Endpoint, ...]) -> Steps[None]:
        taken = Occupied()
        for endpoint in sorted(endpoints, key=lambda one: one.location.line):
            earlier = taken.find(endpoint)
            if earlier is None:
                taken.add(endpoint)
            else:
                self.problems.append(_collision(endpoint, earlier))
            yield


def _collision(endpoint: Endpoint, earlier: Endpoint) -> Problem:
    what = endpoint.path or f"port {endpoint.port}"
    message = (
        f"{what} is already used by [{earlier.location.section}], line {earlier.location.line}"
    )
    return Problem(endpoint.location, message, "use different ones; port 0 selects a free port")
