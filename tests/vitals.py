"""What a daemon holds: descriptors, memory, open connections; and that it all is given back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.harness import Sockd, wait_until

_UNHANDLED = re.compile(r"Traceback|Unhandled|#critical|#error|EMFILE")


@dataclass(frozen=True)
class Vitals:
    """A daemon at one moment.

    :ivar resident: its memory, in KiB.
    """

    descriptors: int
    resident: int


def vitals(sockd: Sockd) -> Vitals:
    """Return how a daemon is now."""
    process = Path("/proc") / str(sockd.pid)
    found = re.search(r"^VmRSS:\s+(\d+)", (process / "status").read_text("ascii"), re.MULTILINE)
    assert found is not None
    return Vitals(descriptors(sockd), int(found[1]))


def descriptors(sockd: Sockd) -> int:
    """Return how many descriptors a daemon holds (proc(5))."""
    return len(list(Path(f"/proc/{sockd.pid}/fd").iterdir()))


def held(pid: int, what: str) -> int:
    """Return how many descriptors of a sort a process holds.

    :param what: ``eventpoll`` or ``io_uring``, as proc(5) has them.
    """
    links = [_link(descriptor) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    return links.count(f"anon_inode:[{what}]")


def _link(descriptor: Path) -> str:
    """Return what a descriptor is, or nothing if it was closed since it was listed.

    A process that looks at itself lists the descriptor with which it does so, too.
    """
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def assert_recovered(sockd: Sockd, before: Vitals) -> None:
    """Wait until everything is given back: connections, descriptors, and all but 10 % of memory."""
    wait_until_closed(sockd, before)
    after = vitals(sockd)
    assert after.resident < 1.1 * before.resident, (before, after)
    assert sockd.get("/health") == {"status": "ok"}
    assert_unshaken(sockd)


def wait_until_closed(sockd: Sockd, before: Vitals) -> None:
    """Wait until connections and descriptors are given back."""
    wait_until(lambda: not unfinished(sockd), "no connection is open")
    wait_until(lambda: vitals(sockd).descriptors <= before.descriptors, "no descriptor is leaked")


def assert_unshaken(sockd: Sockd) -> None:
    """Hold that nothing went wrong that nobody had thought of."""
    assert not _UNHANDLED.search(sockd.output), sockd.output[-5000:]


def unfinished(sockd: Sockd) -> list[str]:
    """Return the services with open connections, or whose sums do not add up."""
    return [
        service["name"]
        for service in sockd.get("/services")["services"]
        if service["active"] or service["opened"] != service["closed"]
    ]
