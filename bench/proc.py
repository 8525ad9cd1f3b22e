"""Reads CPU time and memory of processes from proc(5)."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_ticks(stat: str) -> int:
    """Return user and system time of a process and of the children it has waited for.

    :param stat: the text of ``/proc/PID/stat``; the program name in it may contain any character.
    :return: the sum of fields 14 to 17, in clock ticks.
    """
    after_name = stat.rpartition(")")[2].split()
    return sum(map(int, after_name[11:15]))


def resident_kib(status: str) -> int:
    """Return the resident set size of ``/proc/PID/status``, in KiB."""
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its children, including ended ones, in seconds."""
    return _ticks(pid) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int) -> int:
    """Return the memory in use by a process, in KiB."""
    return resident_kib(_read(pid, "status"))


def children(pid: int) -> list[int]:
    """Return the running children of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _ticks(pid: int) -> int:
    try:
        return cpu_ticks(_read(pid, "stat")) + sum(map(_ticks, children(pid)))
    except (FileNotFoundError, ProcessLookupError):  # a child that ended meanwhile
        return 0


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
