"""Endpoint descriptions, such as ``tcp:65432:interface=127.0.0.1``, as values.

The syntax is Twisted's (see :func:`twisted.internet.endpoints.serverFromString`): parameters
separated by colons, some of them ``name=value``; a backslash escapes a colon. Twisted parses the
description again when it binds. The errors that need no reactor are found here: a port out of
range, an invalid interface address, two services on one port.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from sockd.config.values import file_name
from sockd.errors import InvalidValue, SourceLocation
from sockd.model.address import ALL_IPV4
from sockd.support.text import glance, nearest, quoted

if TYPE_CHECKING:
    from pathlib import Path

DATAGRAM = "udp"

SYSTEMD = "systemd"
"""The kind of a socket that the service manager binds and passes (systemd.socket(5))."""

PRIVATE_MODE = "600"
"""The mode of a unix socket that only its owner can connect to."""

_PARAMETERS = MappingProxyType(
    {
        "tcp": ("port", "interface", "backlog"),
        "tcp6": ("port", "backlog", "interface"),
        "ssl": (
            "port",
            "privateKey",
            "certKey",
            "sslmethod",
            "interface",
            "backlog",
            "extraCertChain",
            "dhParameters",
        ),
        "tls": ("path", "port", "backlog", "interface"),
        "unix": ("address", "mode", "backlog", "lockfile"),
        DATAGRAM: ("port", "interface"),
    }
)
"""The parameters of the known kinds, in the order of their positions."""

_FILES = MappingProxyType(
    {
        "ssl": ("privateKey", "certKey", "extraCertChain", "dhParameters"),
        "tls": ("path",),
        "unix": ("address",),
    }
)
_CERTIFICATES = MappingProxyType({"ssl": (*_FILES["ssl"], "sslmethod"), "tls": _FILES["tls"]})
"""The parameters that configure TLS. They do not affect the listening socket."""

_PATHS = MappingProxyType({"tls": "path", "unix": "address"})
"""The required parameter of these kinds: a path."""

_NOWHERE = SourceLocation("", 0)
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*")
_FORMS = MappingProxyType(
    {
        "backlog": (r"[0-9]{1,5}", "the length of listen(2)'s queue, such as 50"),
        "mode": (r"[0-7]{3,4}", "an octal mode, such as 660"),
        "lockfile": (r"[01]", "0 or 1"),
    }
)
"""The pattern and the hint of these parameters, for all kinds."""

_NUMBER = re.compile(r"[0-9]{1,4}")
_INTERNET = frozenset(kind for kind, names in _PARAMETERS.items() if "port" in names)
_DEFAULT_HOST = {"tcp6": "::", "tls": "::"}
_DEFAULT_PORT = {"tls": "443"}
_DEFAULT_KEY = "server.pem"
"""The file that Twisted reads for ``ssl`` endpoints without ``privateKey``."""
_EXAMPLE = "such as tcp:65432:interface=127.0.0.1"
_INTERFACE_HINT = r"an IPv4 or IPv6 address, the colons of IPv6 written \:, such as interface=\:\:1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One parsed endpoint of a ``listen`` option.

    :ivar location: its line in the file.
    :ivar text: the description as it is in the file.
    :ivar kind: the word before the first colon.
    :ivar parameters: names and values. For the known kinds this includes positional parameters.
    """

    location: SourceLocation
    text: str
    kind: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def is_encrypted(self) -> bool:
        """Whether its connections use TLS."""
        return self.kind in _CERTIFICATES

    @property
    def is_foreign(self) -> bool:
        """Whether this kind is known only to Twisted or to a Twisted plugin."""
        return self.kind not in _PARAMETERS

    @property
    def description(self) -> str:
        """The description that is passed to Twisted."""
        if self.is_foreign:
            return self.text
        literal = dict(self.parameters)
        if "interface" in literal:  # resolving a name such as localhost could block
            literal["interface"] = self.host
        named = (f"{name}={_escape(value)}" for name, value in literal.items())
        return ":".join([self.kind, *named])

    def parameter(self, name: str) -> str | None:
        """Return the text of a parameter, or ``None`` if it is not given."""
        return dict(self.parameters).get(name)

    @property
    def port(self) -> int | None:
        """The port number to bind; ``None`` for endpoints without a port."""
        if self.kind not in _INTERNET:
            return None
        return int(self.parameter("port") or _DEFAULT_PORT[self.kind])

    @property
    def host(self) -> str:
        """The address to bind, ``0.0.0.0`` or ``::`` for all; empty for endpoints without one."""
        if self.kind not in _INTERNET:
            return ""
        host = self.parameter("interface") or _DEFAULT_HOST.get(self.kind, ALL_IPV4)
        return "127.0.0.1" if host == "localhost" else host

    @property
    def path(self) -> str | None:
        """The path of a unix socket; ``None`` for other endpoints."""
        return self.parameter("address") if self.kind == "unix" else None

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach it: a loopback address or a unix socket."""
        return self.kind == "unix" or bool(self.host and _ip_address(self.host).is_loopback)

    @property
    def changeable(self) -> tuple[str | None, ...]:
        """The parameters that can change while the socket listens."""
        return tuple(self.parameter(name) for name in ("backlog", *self._certificates))

    @property
    def _certificates(self) -> tuple[str, ...]:
        return _CERTIFICATES.get(self.kind, ())

    @property
    def identity(self) -> tuple[str, ...]:
        """The key of the listening socket: endpoints with equal keys can share a socket.

        The backlog and certificates are not included, as they can change while a socket listens.
        """
        return (self.text,) if self.is_foreign else _identity(self.kind, self.parameters)

    def with_default(self, name: str, value: str) -> Endpoint:
        """Return the endpoint with a parameter added, if the kind has it and it is not given.

        Foreign kinds take a ``backlog``, except for ``systemd``, where systemd sets it.
        """
        is_known = name in _PARAMETERS.get(self.kind, () if self.kind == SYSTEMD else ("backlog",))
        if not is_known or self.parameter(name) is not None:
            return self
        return replace(self, parameters=(*self.parameters, (name, value)))

    def relative_to(self, folder: Path) -> Endpoint:
        """Return the endpoint with its relative file names resolved against a folder."""
        files = _FILES.get(self.kind, ())
        parameters = self.with_default("privateKey", _DEFAULT_KEY).parameters
        resolved = tuple(
            (name, str(folder / file_name(value)) if name in files else value)
            for name, value in parameters
        )
        return replace(self, parameters=resolved)

    def collides_with(self, other: Endpoint) -> bool:
        """Return whether the two cannot be bound at the same time.

        IPv4 and IPv6 never collide here. Whether ``::`` also binds the IPv4 port depends on the
        system, and shows when they are bound.
        """
        if self.spot is None or self.spot != other.spot:
            return False
        mine, others = self.address, other.address
        return mine is None or others is None or mine == others

    @property
    def spot(self) -> tuple[object, ...] | None:
        """A key that colliding endpoints share; ``None`` if the endpoint cannot collide."""
        if self.path is not None:
            return (self.path,)
        if not self.port:
            return None
        return (self.port, self.kind == DATAGRAM, _ip_address(self.host).version)

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The address to bind; ``None`` for all addresses, and for endpoints without one."""
        address = _ip_address(self.host) if self.host else None
        return None if address is None or address.is_unspecified else address


EndpointParser = Callable[[str, SourceLocation], Endpoint]
EndpointCheck = Callable[[Endpoint], object]
"""Checks an endpoint; raises :class:`~sockd.errors.InvalidValue` if it cannot be used."""


def unchecked(endpoint: Endpoint) -> None:
    """Accept any endpoint."""


def parse_any(text: str, location: SourceLocation) -> Endpoint:
    """Parse an endpoint of any kind.

    :raise InvalidValue: if it is invalid, as far as this can be checked without Twisted.
    """
    kind, positional, named = _parts(text)
    if kind not in _PARAMETERS:
        return Endpoint(location, text, kind, tuple(named))
    parameters = _named(kind, positional) + named
    _check_names(kind, [name for name, _ in parameters])
    endpoint = Endpoint(location, text, kind, tuple(parameters))
    _check_forms(parameters)
    if kind in _INTERNET:
        _check_port(endpoint)
        _check_interface(endpoint)
    if kind in _PATHS and not endpoint.parameter(_PATHS[kind]):
        message = f"the {kind} endpoint has no path"
        raise InvalidValue(message, f"{kind}:PATH")
    return endpoint


def parse_stream(text: str, location: SourceLocation) -> Endpoint:
    """Parse an endpoint of a stream service.

    :raise InvalidValue: if it is invalid, or carries datagrams.
    """
    endpoint = parse_any(text, location)
    if endpoint.kind == DATAGRAM:
        message = "udp endpoints carry datagrams; a stream endpoint is required"
        raise InvalidValue(message, f"tcp:{endpoint.port}:interface={_escape(endpoint.host)}")
    if endpoint.kind == "stdio":
        message = "clients cannot connect to a stdio endpoint"
        raise InvalidValue(message, "such as tcp:65432:interface=127.0.0.1")
    return endpoint


def parse_datagram(text: str, location: SourceLocation) -> Endpoint:
    """Parse an endpoint of a datagram service.

    The forms are ``udp:PORT:interface=ADDRESS``, ``systemd:name=NAME`` and
    ``systemd:index=NUMBER``.

    :raise InvalidValue: if it is invalid, or carries streams.
    """
    endpoint = parse_any(text, location)
    if endpoint.kind == SYSTEMD:
        _check_passed(endpoint)
    elif endpoint.kind != DATAGRAM:
        message = f"{endpoint.kind} endpoints carry streams; a udp endpoint is required"
        raise InvalidValue(message, "udp:PORT:interface=ADDRESS")
    return endpoint


def parse_private(text: str, location: SourceLocation) -> Endpoint:
    """Parse a stream endpoint that only this machine can reach.

    :raise InvalidValue: if it is invalid, or other machines can reach it.
    """
    endpoint = parse_stream(text, location)
    if not endpoint.is_private:
        message = f"{quoted(text)} is reachable from other machines without encryption"
        raise InvalidValue(message, "a loopback address such as interface=127.0.0.1, or unix:PATH")
    return endpoint


def _parts(text: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Return the kind, the positional parameters, and the named ones."""
    first, *words = _split(text)
    if len(first) > 1 or not _KIND.fullmatch(first[0]):
        message = f"{quoted(text)} is not a valid endpoint"
        raise InvalidValue(message, _EXAMPLE)
    if not text.isprintable():
        message = f"{quoted(text)} contains unprintable characters"
        raise InvalidValue(message, _EXAMPLE)
    kind = first[0].lower() if first[0].lower() in _PARAMETERS else first[0]
    positional = [word[0] for word in words if len(word) == 1]
    return kind, positional, [(word[0], word[1]) for word in words if len(word) == 2]


def arguments(description: str) -> tuple[list[str], dict[str, str]]:
    """Return the positional parameters of a description, and the named ones."""
    _, *words = _split(description)
    positional = [word[0] for word in words if len(word) == 1]
    return positional, {word[0]: word[1] for word in words if len(word) == 2}


def _split(text: str) -> list[list[str]]:
    """Split a description at its colons, into ``[value]`` or ``[name, value]`` each."""
    words = [[""]]
    escaped = False
    for character in text:
        if escaped:
            words[-1][-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ":":
            words.append([""])
        elif character == "=" and len(words[-1]) == 1:
            words[-1].append("")
        else:
            words[-1][-1] += character
    return words


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _named(kind: str, positional: list[str]) -> list[tuple[str, str]]:
    """Return the positional parameters with their names."""
    names = _PARAMETERS[kind]
    if "" in positional and positional != [""]:
        message = "empty parameter between two colons"
        raise InvalidValue(message, f"{kind}:{names[0].upper()}; {_INTERFACE_HINT}")
    if len(positional) > len(names):
        message = f"{kind} endpoints do not take {len(positional)} parameters"
        raise InvalidValue(message, f"{kind}:{':'.join(names)}")
    return list(zip(names, positional, strict=False))


def _check_names(kind: str, names: list[str]) -> None:
    for name in names:
        if name not in _PARAMETERS[kind]:
            message = f"{kind} endpoints have no parameter {quoted(name)}"
            raise InvalidValue(message, nearest(name, _PARAMETERS[kind]))
        if names.count(name) > 1:
            message = f"{quoted(name)} is given twice"
            raise InvalidValue(message, "give it once")


def _check_forms(parameters: list[tuple[str, str]]) -> None:
    for name, value in parameters:
        form, hint = _FORMS.get(name, (".*", ""))
        if not re.fullmatch(form, value):
            message = f"{name} {quoted(value)} is not valid"
            raise InvalidValue(message, hint)


def _check_port(endpoint: Endpoint) -> None:
    text = endpoint.parameter("port") or _DEFAULT_PORT.get(endpoint.kind, "")
    if not re.fullmatch(r"[0-9]+", text):
        message = f"{quoted(text)} is not a valid port" if text else "the endpoint has no port"
        raise InvalidValue(message, "a number from 0 to 65535; 0 selects a free port")
    if len(text) > 5 or int(text) > 65535:
        message = f"port {glance(text)} is out of range"
        raise InvalidValue(message, "0 to 65535; 0 selects a free port")


def _check_interface(endpoint: Endpoint) -> None:
    try:
        _ip_address(endpoint.host)
    except ValueError:
        message = f"interface {quoted(endpoint.host)} is not an IP address"
        raise InvalidValue(message, _INTERFACE_HINT) from None


def _check_passed(endpoint: Endpoint) -> None:
    """Check the name or the index of a UDP socket that the service manager passes."""
    hint = "systemd:name=NAME with its FileDescriptorName, or systemd:index=NUMBER from 0"
    names = [name for name, _ in endpoint.parameters if name != "domain"]
    index = endpoint.parameter("index")
    if names not in (["name"], ["index"]) or (index is not None and not _NUMBER.fullmatch(index)):
        message = f"{quoted(endpoint.text)} does not identify a socket"
        raise InvalidValue(message, hint)


@lru_cache(maxsize=16_384)
def _identity(kind: str, parameters: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the identity of an endpoint of a known kind, cached as a reload needs it often."""
    endpoint = Endpoint(_NOWHERE, "", kind, parameters)
    named = dict(endpoint.with_default("mode", PRIVATE_MODE).parameters)
    for name in ("backlog", *_CERTIFICATES.get(kind, ())):
        named.pop(name, None)
    if kind in _INTERNET:
        named |= {"port": str(endpoint.port), "interface": str(_ip_address(endpoint.host))}
    kind = "tcp" if kind == "tcp6" else kind
    return (kind, *(f"{name}={value}" for name, value in sorted(named.items())))


@lru_cache(maxsize=1024)
def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host)
