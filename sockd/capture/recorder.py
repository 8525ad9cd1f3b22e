"""Writes blocks to files, and limits the size and age of the files.

Everything here may block. It runs in one thread at a time, never in the reactor's. The size limit
includes the files of earlier runs, and holds at every moment: old files are removed before a new
one is created.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sockd.capture.pcapng import INTERFACE, PACKET, SECTION, Block
from sockd.config.specs import CaptureSpec
from sockd.errors import CaptureError, Problem
from sockd.support.text import printable

PARTS = 8
"""The number of files that share the size limit; the oldest is removed for a new one."""

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_OTHERS = 0o077
_MOST_ENTRIES = 10_000
"""How many directory entries are read at most, so that a huge directory does not block the thread.
"""

_NAME = re.compile(r"sockd-[0-9]{8}T[0-9]{12}Z-[0-9]{2}\.pcapng")
_ELSEWHERE = "a directory of its own that the user of sockd may write to"
_HINTS = {
    errno.ENOSPC: "the disk is full: make room, or a smaller max_size, then capture.start()",
    errno.EDQUOT: "the user's quota is used up: make room, then capture.start()",
}


class Recorder:
    """The files of captures, in a directory that only its owner can access.

    :param clock: returns the time in seconds since the epoch.
    :ivar files: the names and sizes of the files, oldest first.
    :ivar packets: how many packets were written since :meth:`open`.
    """

    def __init__(self, directory: Path, spec: CaptureSpec, clock: Callable[[], float]) -> None:
        self.directory = directory
        self._spec = spec
        self._clock = clock
        self._part = spec.max_size // PARTS
        self._kept: dict[str, int] = {}
        self._preamble: list[Block] = []
        self._name = ""
        self._descriptor = -1
        self._begun = 0.0
        self.files: tuple[tuple[str, int], ...] = ()
        self.packets = 0

    def survey(self) -> None:
        """Find the files of earlier runs, and remove those that are too old."""
        with suppress(OSError):
            self._kept = self._found()
            self.sweep()

    def open(self) -> None:
        """Prepare the directory, and remove files that exceed the limits.

        :raise CaptureError: if it cannot be written to, or other users can access it.
        """
        try:
            for folder in (self.directory.parent, self.directory):
                folder.mkdir(_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            self._guard()
            self._kept = self._found()
            self.packets = 0
            self.sweep()
            self._make_room()
        except OSError as error:
            raise self._problem(error) from None

    def write(self, blocks: Iterable[Block]) -> None:
        """Write blocks. Section and interface blocks are repeated at the beginning of each file.

        :raise CaptureError: if they cannot be written.
        """
        try:
            for block in blocks:
                if block.kind in (SECTION, INTERFACE):
                    self._introduce(block)
                else:
                    self._append(block)
        except OSError as error:
            self.close()
            raise self._problem(error) from None
        self._count()

    def sweep(self) -> None:
        """Remove the files whose last packet is too old."""
        oldest = self._clock() - self._spec.max_age
        if self._spec.max_age:
            for name in list(self._kept):
                if self._modified(name) < oldest:
                    if name == self._name:
                        self.close()
                    self._remove(name)
        self._count()

    def close(self) -> None:
        """Close the file; the next block begins another."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._name = -1, ""

    def _introduce(self, block: Block) -> None:
        if block.kind == SECTION:
            self.close()
            self._preamble = []
        self._preamble.append(block)

    def _append(self, block: Block) -> None:
        size = self._kept.get(self._name, 0)
        age = self._clock() - self._begun
        is_old = bool(self._spec.max_age) and age > self._spec.max_age / PARTS
        if self._descriptor < 0 or is_old or size + len(block.data) > self._part:
            self._begin()
        self._put(block.data)
        if block.kind == PACKET:
            self.packets += 1

    def _begin(self) -> None:
        self.close()
        self._make_room()
        self._begun = self._clock()
        moment = datetime.fromtimestamp(self._begun, UTC)
        stem = f"sockd-{moment:%Y%m%dT%H%M%S%f}Z"
        names = (f"{stem}-{number:02}.pcapng" for number in range(100))
        name = next(name for name in names if name not in self._kept)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(self.directory / name, flags, _PRIVATE_FILE)
        self._name = name
        self._kept[name] = 0
        self._put(b"".join(block.data for block in self._preamble))

    def _put(self, data: bytes) -> None:
        """Write all of the data, or leave the file unchanged."""
        size = self._kept[self._name]
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise
        self._kept[self._name] = size + len(data)

    def _make_room(self) -> None:
        """Remove the oldest files until another one fits into the size limit."""
        while sum(self._kept.values()) + self._part > self._spec.max_size:
            self._remove(next(iter(self._kept)))

    def _found(self) -> dict[str, int]:
        """Return the existing files and their sizes."""
        with os.scandir(self.directory) as entries:
            found = {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in islice(entries, _MOST_ENTRIES)
                if _NAME.fullmatch(entry.name)
            }
        return dict(sorted(found.items()))

    def _modified(self, name: str) -> float:
        try:
            return (self.directory / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)
        del self._kept[name]

    def _count(self) -> None:
        self.files = tuple(self._kept.items())

    def _guard(self) -> None:
        """Make sure that other users cannot access the directory."""
        status = self.directory.stat()
        if os.name == "posix" and stat.S_IMODE(status.st_mode) & _OTHERS:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            where = printable(str(self.directory))
            message = f"{where} is open to other users, mode {mode}"
            hint = f"chmod 700 {where}, or a directory of its own"
            raise CaptureError([Problem(self._spec.locations["directory"], message, hint)])

    def _problem(self, error: OSError) -> CaptureError:
        where = printable(str(self.directory))
        message = f"{where} cannot be written to: {printable(error.strerror or str(error))}"
        hint = _HINTS.get(error.errno or 0, _ELSEWHERE)
        return CaptureError([Problem(self._spec.locations["directory"], message, hint)])
