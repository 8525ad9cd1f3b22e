"""What root is warned of, and what is refused to root: a shell of root for other machines."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sockd.config.specs import AdminSpec
from sockd.errors import Problem
from sockd.support.text import quoted

HINT = "twistd --uid nobody --gid nogroup … sockd …"

WARNING = (
    "sockd runs as root, and stays root: so does whoever gets into it, and the admin shell."
    f" Give it a user of its own: {HINT}"
)


def is_root() -> bool:
    """Return whether this process is root; where there is no such user, it is not."""
    return os.name == "posix" and os.geteuid() == 0


def future_owner(uid: int | None, gid: int | None) -> tuple[int, int] | None:
    """Return the user and group that a root process becomes, by twistd's options; else ``None``.

    Without ``--gid`` twistd takes the group that the user has in passwd(5).
    """
    if uid is None or not is_root():
        return None
    if gid is None:
        import pwd  # only POSIX has it, and only there a process is root

        gid = pwd.getpwuid(uid).pw_gid
    return uid, gid


def shell_problems(spec: AdminSpec) -> Iterator[Problem]:
    """Return the endpoints of a shell that other machines could reach.

    A Manhole runs what it is told: one of a daemon that is root is a root shell.
    """
    for endpoint in (*spec.ssh, *spec.telnet):
        if not endpoint.is_private:
            message = f"{quoted(endpoint.text)} would be a root shell for other machines"
            yield Problem(endpoint.location, message, f"interface=127.0.0.1, or {HINT}")
