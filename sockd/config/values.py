"""Parsers of option values: durations, sizes, rates, numbers, booleans, words and names.

Each parser returns the value of a text, or raises :class:`~sockd.errors.InvalidValue` with an error
message and a hint.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sockd.errors import InvalidValue
from sockd.limits.buckets import UNLIMITED, RateLimit
from sockd.support.text import listed, nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T", covariant=True)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_DURATION = re.compile(r"([0-9]{1,99}(?:\.[0-9]{1,9})?) ?(ms|s|m|h)")
_SIZE = re.compile(r"([0-9]{1,15}) ?([A-Za-z]+)")
_RATE = re.compile(r"([0-9]{1,9}) ?/ ?(ms|s|m|h)")
_BYTE_RATE = re.compile(rf"({_SIZE.pattern.replace('(', '(?:')}) ?/ ?(ms|s|m|h)")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,31}")
_YEAR = 366 * 24 * 3600.0
_BOOLEANS = {
    **dict.fromkeys(("yes", "true", "on", "1"), True),
    **dict.fromkeys(("no", "false", "off", "0"), False),
}


@dataclass(frozen=True)  # slots would break Option[int](...) in Python 3.11
class Option(Generic[T]):
    """An option of a section: its name, its parser and its default as text.

    Plugins declare their options with it: ``Option("delay", duration, "1s")``.
    """

    name: str
    parse: Callable[[str], T]
    default: str


def duration(text: str) -> float:
    """Parse a duration, such as ``500ms``, ``5s``, ``2m``, ``1h`` or ``0``, into seconds."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        message = f"{quoted(text)} is not a valid duration"
        raise InvalidValue(message, "a number and ms, s, m or h, such as 500ms or 5s")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > _YEAR:
        message = f"{quoted(text)} is longer than a year"
        raise InvalidValue(message, "8784h at most, or 0 for none")
    return seconds


def size(text: str) -> int:
    """Parse a size, such as ``64KB``, ``10MiB``, ``512B`` or ``0``, into bytes."""
    if text == "0":
        return 0
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _SIZES:
        message = f"{quoted(text)} is not a valid size"
        raise InvalidValue(
            message, "a whole number and B, KB, KiB, MB, MiB, GB or GiB, such as 64KB"
        )
    return int(match[1]) * _SIZES[match[2]]


def size_from(least: str) -> Callable[[str], int]:
    """Return a parser of sizes with a minimum."""

    def parse(text: str) -> int:
        if size(text) >= size(least):
            return size(text)
        message = f"{quoted(text)} is too small"
        raise InvalidValue(message, f"{least} or more")

    return parse


def rate(text: str) -> float:
    """Parse a rate, such as ``100/s``, ``10/m`` or ``0``, into a number per second."""
    if text == "0":
        return 0.0
    match = _RATE.fullmatch(text)
    if match is None:
        message = f"{quoted(text)} is not a valid rate"
        raise InvalidValue(message, "a whole number, / and ms, s, m or h, such as 100/s or 10/m")
    return int(match[1]) / _UNITS[match[2]]


def rate_limit(text: str) -> RateLimit:
    """Parse a rate limit: ``100/s``, ``10/m``, or ``0`` for no limit."""
    if rate(text) == 0.0:
        return UNLIMITED
    count, _, unit = text.partition("/")
    return RateLimit(int(count), _UNITS[unit.strip()])


def byte_rate_limit(text: str) -> RateLimit:
    """Parse a rate limit of bytes: ``10MiB/s``, ``64KB/m``, or ``0`` for no limit."""
    match = _BYTE_RATE.fullmatch(text)
    if text != "0" and (match is None or size(match[1]) == 0):
        message = f"{quoted(text)} is not a valid byte rate"
        raise InvalidValue(message, "a size, / and ms, s, m or h, such as 10MiB/s; 0 for no limit")
    return UNLIMITED if match is None else RateLimit(size(match[1]), _UNITS[match[2]])


def boolean(text: str) -> bool:
    """Parse a boolean: ``yes`` or ``no``, or one of configparser's other words."""
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        message = f"{quoted(text)} is not a boolean"
        raise InvalidValue(message, "yes or no") from None


def integer(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in a range that includes both bounds."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,18}", text) and least <= int(text) <= most:
            return int(text)
        message = f"{quoted(text)} is not a valid number"
        raise InvalidValue(message, f"a whole number from {least} to {most}")

    return parse


def choice(*words: str) -> Callable[[str], str]:
    """Return a parser that accepts one of these words."""

    def parse(text: str) -> str:
        if text in words:
            return text
        message = f"{quoted(text)} is not a valid value"
        raise InvalidValue(message, listed(words))

    return parse


def known(sort: str, names: Sequence[str], hint: str = "") -> Callable[[str], str]:
    """Return a parser that accepts one of these names, and suggests the most similar one.

    :param sort: what is named, for error messages.
    :param hint: why a name may be missing; it is appended to the error message.
    """

    def parse(text: str) -> str:
        if text in names:
            return text
        message = f"unknown {sort} {quoted(text)}" if text else f"no {sort} is given"
        raise InvalidValue(message + hint, nearest(text, names))

    return parse


def file_name(text: str) -> str:
    """Parse a file name. A name that the locale's encoding lacks is UTF-8 on the disk.

    :raise InvalidValue: if it contains unprintable characters.
    """
    name = line(text)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8"))
    return name


def line(text: str) -> str:
    """Parse one line of printable text."""
    if text.isprintable():
        return text
    message = f"{quoted(text)} contains unprintable characters"
    raise InvalidValue(message, "one line of plain text")


def user_name(text: str) -> str:
    """Parse a login name: 1 to 64 printable ASCII characters without white space or colons."""
    if re.fullmatch(r"[!-9;-~]{1,64}", text):
        return text
    message = f"{quoted(text)} is not a valid user name"
    raise InvalidValue(message, "letters, digits and punctuation, without white space or colons")


def interface_name(text: str) -> str:
    """Parse the name of a network interface, or ``any``."""
    if _INTERFACE.fullmatch(text):
        return text
    message = f"{quoted(text)} is not a valid interface name"
    raise InvalidValue(message, "any, or a name that `ip link` shows, such as eth0")


def host_name(text: str) -> str:
    """Parse a host name or an address as in a ``Host:`` header, without a port."""
    if _HOST.fullmatch(text) or _is_ipv6(text.removeprefix("[").removesuffix("]")):
        return text.lower()
    message = f"{quoted(text)} is not a valid host name"
    raise InvalidValue(message, "a name or an address, without a scheme, a port or a path")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
