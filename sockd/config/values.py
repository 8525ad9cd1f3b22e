"""What an option's text means: durations, sizes, rates, numbers, booleans, words and names.

Each parser takes the text and returns the value, or raises :class:`~sockd.errors.InvalidValue`
with what is wrong and what would be right.
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
    """An option that a section takes: its name, how its text is read, and its default as text.

    Plugins declare options of their own with it: ``Option("delay", duration, "1s")``.
    """

    name: str
    parse: Callable[[str], T]
    default: str


def duration(text: str) -> float:
    """Return a duration in seconds: ``500ms``, ``5s``, ``2m``, ``1h``, or ``0``."""
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
    """Return a size in bytes: ``64KB``, ``10MiB``, ``512B`` or ``0``."""
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
    """Return a parser of sizes that are no smaller than one of them."""

    def parse(text: str) -> int:
        if size(text) >= size(least):
            return size(text)
        message = f"{quoted(text)} is too small"
        raise InvalidValue(message, f"{least} or more")

    return parse


def rate(text: str) -> float:
    """Return a rate in times a second: ``100/s``, ``10/m`` or ``0``."""
    if text == "0":
        return 0.0
    match = _RATE.fullmatch(text)
    if match is None:
        message = f"{quoted(text)} is not a valid rate"
        raise InvalidValue(message, "a whole number, / and ms, s, m or h, such as 100/s or 10/m")
    return int(match[1]) / _UNITS[match[2]]


def rate_limit(text: str) -> RateLimit:
    """Return an allowance: ``100/s``, ``10/m``, or ``0`` for no limit."""
    if rate(text) == 0.0:
        return UNLIMITED
    count, _, unit = text.partition("/")
    return RateLimit(int(count), _UNITS[unit.strip()])


def byte_rate_limit(text: str) -> RateLimit:
    """Return an allowance of bytes: ``10MiB/s``, ``64KB/m``, or ``0`` for no limit."""
    match = _BYTE_RATE.fullmatch(text)
    if text != "0" and (match is None or size(match[1]) == 0):
        message = f"{quoted(text)} is not a valid byte rate"
        raise InvalidValue(message, "a size, / and ms, s, m or h, such as 10MiB/s; 0 for no limit")
    return UNLIMITED if match is None else RateLimit(size(match[1]), _UNITS[match[2]])


def boolean(text: str) -> bool:
    """Return a boolean: ``yes`` or ``no`` (configparser's other words work too)."""
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        message = f"{quoted(text)} is not a boolean"
        raise InvalidValue(message, "yes or no") from None


def integer(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers between two bounds, both included."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,18}", text) and least <= int(text) <= most:
            return int(text)
        message = f"{quoted(text)} is not a valid number"
        raise InvalidValue(message, f"a whole number from {least} to {most}")

    return parse


def choice(*words: str) -> Callable[[str], str]:
    """Return a parser of one word out of a few."""

    def parse(text: str) -> str:
        if text in words:
            return text
        message = f"{quoted(text)} is not a valid value"
        raise InvalidValue(message, listed(words))

    return parse


def known(sort: str, names: Sequence[str], hint: str = "") -> Callable[[str], str]:
    """Return a parser of a name out of many, whose remedy is the nearest of them.

    ``hint`` is added to what is wrong: why a name that was expected may be missing.
    """

    def parse(text: str) -> str:
        if text in names:
            return text
        message = f"unknown {sort} {quoted(text)}" if text else f"no {sort} is given"
        raise InvalidValue(message + hint, nearest(text, names))

    return parse


def file_name(text: str) -> str:
    """Return a name of a file; one that the encoding of the locale lacks is UTF-8 on the disk.

    :raise InvalidValue: if it is more than a line.
    """
    name = line(text)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8"))
    return name


def line(text: str) -> str:
    """Return a text of one line that can be shown as it is."""
    if text.isprintable():
        return text
    message = f"{quoted(text)} contains unprintable characters"
    raise InvalidValue(message, "one line of plain text")


def user_name(text: str) -> str:
    """Return a login name: printable ASCII without white space, and not empty."""
    if re.fullmatch(r"[!-9;-~]{1,64}", text):
        return text
    message = f"{quoted(text)} is not a valid user name"
    raise InvalidValue(message, "letters, digits and punctuation, without white space or colons")


def interface_name(text: str) -> str:
    """Return the name of a network interface, or ``any``."""
    if _INTERFACE.fullmatch(text):
        return text
    message = f"{quoted(text)} is not a valid interface name"
    raise InvalidValue(message, "any, or a name that `ip link` shows, such as eth0")


def host_name(text: str) -> str:
    """Return a host name or address as a ``Host:`` header may give it, without a port."""
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
