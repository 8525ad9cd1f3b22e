"""Log observers that escape characters which the encoding of the log cannot represent.

twistd writes to standard output in the encoding of the locale, and to files in UTF-8. Twisted drops
a line that it cannot encode, even if the line reports a login. File names that are not valid in
the encoding of the locale contain surrogates, which no encoding can represent.
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
    """Have standard output and standard error escape what they cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def log_observer(twistd: Mapping[str, Any], file: ReopenableLogFile | None) -> ILogObserver | None:
    """Return the log observer for twistd's options.

    :param file: the log file; ``None`` if the log does not go to a file.
    :return: ``None`` if twistd's own observer is suitable: for standard output, see
        :func:`escape_output`, and for an observer that ``--logger`` names.
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
    """Return an observer that logs to syslog(3), in UTF-8."""
    import syslog  # not available on Windows

    from twisted.python.syslog import SyslogObserver

    class EscapingSyslogObserver(SyslogObserver):
        """Twisted's observer, with escapes."""

        def __init__(self) -> None:
            SyslogObserver.__init__(self, prefix)

        def syslog(self, priority: int, message: str) -> None:
            syslog.syslog(priority, _encodable(message))

    return LegacyLogObserverWrapper(cast("Any", EscapingSyslogObserver().emit))
