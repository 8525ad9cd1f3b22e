"""twistd's log, without losing a line that an encoding cannot represent.

twistd writes to standard output in the encoding of the locale, and to files in UTF-8. Twisted drops
a line with a character that the encoding does not have, be it the line about a login. Here such
a character is written as an escape. Names of files that are not text in the encoding of the
locale hold surrogates, which no encoding has.
"""

from __future__ import annotations

import io
import signal
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
from twisted.python.logfile import LogFile
from twisted.python.runtime import platform

from sockd.reactor import IReactor

_DEFAULT_FILE = "twistd.log"
_STANDARD_OUTPUT = "-"
_ERRORS = "backslashreplace"


def escape_output() -> None:
    """Have standard output and standard error take any text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def log_observer(twistd: Mapping[str, Any], reactor: IReactor) -> ILogObserver | None:
    """Return what writes the log where twistd's options say.

    :return: ``None`` if twistd's own observer will do: on standard output, see
        :func:`escape_output`, or where ``--logger`` names another.
    :raise SystemExit: if the file cannot be opened.
    """
    if not twistd or twistd.get("logger"):
        return None
    if twistd.get("syslog"):
        return _syslog_observer(twistd["prefix"])
    is_daemon = not (twistd.get("nodaemon") or platform.isWindows())
    name = twistd.get("logfile") or (_DEFAULT_FILE if is_daemon else "")
    if name in ("", _STANDARD_OUTPUT):  # which twistd refuses to a daemon
        return None
    try:
        file: LogFile = LogFile.fromFullPath(name)
    except OSError as error:
        message = f"--logfile {name}: the file cannot be opened: {error.strerror}"
        raise SystemExit(message) from None
    _rotate_on_signal(file, reactor)
    return FileLogObserver(cast("IO[Any]", file), _line)


def _line(event: LogEvent) -> str | None:
    text = formatEventAsClassicLogText(event)
    return None if text is None else _escaped(text)


def _escaped(text: str) -> str:
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
            syslog.syslog(priority, _escaped(message))

    return LegacyLogObserverWrapper(cast("Any", EscapingSyslogObserver().emit))


def _rotate_on_signal(file: LogFile, reactor: IReactor) -> None:
    """Do as twistd does: begin a new file at SIGUSR1, unless somebody handles that signal."""
    number = getattr(signal, "SIGUSR1", None)
    if number is not None and not signal.getsignal(number):
        signal.signal(number, lambda *_: reactor.callFromThread(file.rotate))
