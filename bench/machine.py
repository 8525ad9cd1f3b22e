"""Describes the machine and the installed versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_PACKAGES = ("sockd", "twisted", "uvloop")
_PROGRAMS = {
    "gcc": ("gcc", "--version"),
    "go": ("go", "version"),
    "socat": ("socat", "-V"),
    "ncat": ("ncat", "--version"),
    "xinetd": ("xinetd", "-version"),
}


def machine() -> dict[str, str]:
    """Return a description of the machine."""
    return {
        "CPU": _cpu(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "congestion control": _CONGESTION.read_text(encoding="ascii").strip(),
        "load average before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def versions() -> dict[str, str]:
    """Return the installed versions of the contenders."""
    found = {"Python": f"{platform.python_version()} ({platform.python_compiler()})"}
    found |= {name: _package(name) for name in _PACKAGES}
    found |= {name: _program(*command) for name, command in _PROGRAMS.items()}
    return {name: text for name, text in found.items() if text}


def first_version(said: str) -> str:
    """Return the first text that looks like a version; empty if there is none."""
    found = re.search(r"\d+(\.\d+)+[^\s)]*", said)
    return found[0] if found else ""


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _program(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    return first_version(done.stdout)
