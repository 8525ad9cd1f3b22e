"""Warnings for a daemon that runs as root, and refusal of a root shell that others could reach."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sockd.config.specs import AdminSpec
from sockd.errors import Problem
from sockd.support.text import quoted

HINT = "twistd --uid nobody --gid nogroup … sockd …"

WARNING = (
    "sockd runs as root and does not drop privileges: the admin shell is a root shell."
    f" Run it as a separate user: {HINT}"
)


def is_root() -> bool:
    """Return whether this process runs as root; ``False`` on systems without root."""
    return os.name == "posix" and os.geteuid() == 0


def future_owner(uid: int | None, gid: int | None) -> tuple[int, int] | None:
    """Return the user and group that a root process switches to by twistd's options, or ``None``.

    Without ``--gid`` twistd uses the primary group of the user (passwd(5)).
    """
    if uid is None or not is_root():
        return None
    if gid is None:
        import pwd  # POSIX only

        gid = pwd.getpwuid(uid).pw_gid
    return uid, gid


def shell_problems(spec: AdminSpec) -> Iterator[Problem]:
    """Return a problem for each endpoint of the shell that other machines could reach.

    A Manhole runs any code. In a daemon that runs as root it is a root shell.
    """
    for endpoint in (*spec.ssh, *spec.telnet):
        if not endpoint.is_private:
            message = f"{quoted(endpoint.text)} would be a root shell for other machines"
            yield Problem(endpoint.location, message, f"interface=127.0.0.1, or {HINT}")
