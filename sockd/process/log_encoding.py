"""twistd's log, without losing a line that an encoding cannot represent.

twistd writes to standard output in the encoding of the locale, and to files in UTF-8. Twisted drops
a line with a character that the encoding does not have, be it the line about a login. Here such
a character is written as an escape. Names of files that are not text in the encoding of the
locale hold surrogates, which no encoding has.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import IO, Any, cast

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LegacyLogObserverWrapper,
    LogEvent,
    formatEventAsClassicLogText,
)

from sockd.process.log_file import ReopenableLogFile

_ERRORS = "backslashreplace"


def escape_output() -> None:
    """Have standard output and standard error take any text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def log_observer(twistd: Mapping[str, Any], file: ReopenableLogFile | None) -> ILogObserver | None:
    """Return the observer that writes the log where twistd's options say.

    :param file: the log file; ``None`` if the log goes elsewhere.
    :return: ``None`` if twistd's own observer will do: on standard output, see
        :func:`escape_output`, or where ``--logger`` names another.
    """
    if twistd.get("syslog") and not twistd.get("logger"):
        return _syslog_observer(twistd["prefix"])
    return None if file is None else FileLogObserver(cast("IO[Any]", file), _line)


def _line(event: LogEvent) -> str | None:
    text = formatEventAsClassicLogText(event)
    return None if text is None else _encodable(text)


def _encodable(text: str) -> str:
    return text.encode("utf-8", _ERRORS).decode("utf-8")


def _syslog_observer(prefix: str) -> ILogObserver:
    """Return what sends the log to syslog(3), which takes UTF-8."""
    import syslog  # not everywhere

    from twisted.python.syslog import SyslogObserver

    class EscapingSyslogObserver(SyslogObserver):
        """Twisted's observer, for any text."""

        def __init__(self) -> None:
            SyslogObserver.__init__(self, prefix)

        def syslog(self, priority: int, message: str) -> None:
            syslog.syslog(priority, _encodable(message))

    return LegacyLogObserverWrapper(cast("Any", EscapingSyslogObserver().emit))
