"""Text from outside, made fit for a terminal, a log line or an error message. Pure."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_GLANCE = 60
"""In characters."""


def printable(text: str) -> str:
    """Return the text with every character that could steer a terminal written as an escape.

    What is left is printable in the sense of :meth:`str.isprintable`: no control characters, no
    line ends, no bidirectional marks, no surrogates.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def escaped(name: bytes) -> str:
    r"""Return a name that the system keeps as bytes, such as a path, as printable text.

    UTF-8 stays as it is. A byte that is not part of a printable character is written ``\xNN``, and
    a backslash twice, so that different names never give the same text.
    """
    return "".join(map(_escaped, name.decode("utf-8", "surrogateescape")))


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def glance(text: str) -> str:
    """Return the text printable, and shortened to what an eye takes in."""
    return printable(text if len(text) <= _GLANCE else text[:_GLANCE] + "…")


def quoted(text: str) -> str:
    """Return the text printable, shortened, and between quotation marks."""
    return f"'{glance(text)}'"


def exception_summary(error: BaseException) -> str:
    """Return an exception in one printable line."""
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))


def listed(names: Iterable[str]) -> str:
    """Return names as a person lists them: ``tcp, udp or multi``."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the known word nearest to this one, or else all of them."""
    words = {word.lower(): word for word in known}
    close = difflib.get_close_matches(name[:_GLANCE].lower(), words, n=1, cutoff=0.5)
    if close:
        return f"did you mean {words[close[0]]}?"
    return f"known: {', '.join(words.values()) or 'none'}"


def rfc3339(seconds: float) -> str:
    """Return a time in seconds since the epoch as an RFC 3339 UTC string in microseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
