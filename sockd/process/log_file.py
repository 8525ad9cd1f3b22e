"""The log file, which can be reopened after another program such as logrotate(8) has renamed it.

twistd gives no access to the log file that it opens. So sockd opens the file itself, in the same
way, and passes it to twistd as the log observer of the application.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from twisted.python.logfile import LogFile

from sockd.support.logger import PartLogger
from sockd.support.text import printable

_DEFAULT = "twistd.log"


class ReopenableLogFile:
    """A log file as twistd opens it, rotated at each megabyte.

    :ivar path: the absolute path, which stays valid when the daemon changes its directory.
    :raise OSError: if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._file = LogFile.fromFullPath(str(self.path))
        self._mode = stat.S_IMODE(self.path.stat().st_mode)
        self._lock = Lock()

    def write(self, text: str) -> None:
        """Write text."""
        with self._lock:
            self._file.write(text)

    def flush(self) -> None:
        """Flush buffered text."""
        with self._lock:
            self._file.flush()

    def reopen(self) -> None:
        """Open the file again by its path; a new file gets the mode of the old one.

        :raise OSError: if it cannot be opened; the old file stays in use.
        """
        mode = None if self.path.exists() else self._mode
        new = LogFile.fromFullPath(str(self.path), defaultMode=mode)
        with self._lock:
            old, self._file = self._file, new
        old.close()


class LogReopener:
    """Reopens the log file on a signal.

    :param file: ``None`` if the log does not go to a file.
    """

    _log = PartLogger("sockd")

    def __init__(self, file: ReopenableLogFile | None) -> None:
        self._file = file

    def __call__(self, name: str) -> None:
        """Reopen the file.

        :param name: the name of the signal.
        """
        if self._file is None:
            self._log.info("{signal} was ignored: sockd has no log file to reopen", signal=name)
            return
        path = printable(str(self._file.path))
        try:
            self._file.reopen()
        except OSError as error:
            problem = "{path} cannot be opened again: {reason}; the log stays in the old file"
            self._log.error(problem, path=path, reason=error.strerror)
        else:
            self._log.info("The log file {path} was opened again", path=path)


def log_file(twistd: Mapping[str, object]) -> ReopenableLogFile | None:
    """Return the log file for twistd's options; ``None`` if the log does not go to a file.

    :raise SystemExit: if it cannot be opened.
    """
    name = twistd.get("logfile") or (_DEFAULT if twistd.get("nodaemon") == 0 else "-")
    if name == "-" or twistd.get("logger") or twistd.get("syslog"):
        return None
    try:
        return ReopenableLogFile(Path(str(name)))
    except OSError as error:
        message = f"{printable(str(name))}: the log file cannot be opened: {error.strerror}"
        raise SystemExit(message) from None
