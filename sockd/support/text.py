"""Untrusted text for terminals, log lines and error messages. Pure."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_GLANCE = 60
"""In characters."""


def printable(text: str) -> str:
    """Return a text with all characters escaped that are not printable.

    The result is printable in the sense of :meth:`str.isprintable`: without control characters,
    line ends, bidirectional marks and surrogates. It cannot control a terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def escaped(name: bytes) -> str:
    r"""Return a name in bytes, such as a path, as printable text.

    Printable UTF-8 characters are unchanged. Other bytes become ``\xNN``, and backslashes are
    doubled, so that different names have different texts.
    """
    return "".join(map(_escaped, name.decode("utf-8", "surrogateescape")))


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def glance(text: str) -> str:
    """Return a text printable, and shortened to 60 characters."""
    return printable(text if len(text) <= _GLANCE else text[:_GLANCE] + "…")


def quoted(text: str) -> str:
    """Return a text printable, shortened and quoted."""
    return f"'{glance(text)}'"


def exception_summary(error: BaseException) -> str:
    """Return the type and the message of an exception in one printable line."""
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))


def listed(names: Iterable[str]) -> str:
    """Return names as an English list: ``tcp, udp or multi``."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint with the most similar known name, or with all known names."""
    words = {word.lower(): word for word in known}
    close = difflib.get_close_matches(name[:_GLANCE].lower(), words, n=1, cutoff=0.5)
    if close:
        return f"did you mean {words[close[0]]}?"
    return f"known: {', '.join(words.values()) or 'none'}"


def rfc3339(seconds: float) -> str:
    """Return a time in seconds since the epoch in RFC 3339 form, in UTC with microseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
