"""``dumpcap`` (package wireshark-common): its path, its command line, and its error messages.

Nothing here runs it. The command line never passes through a shell, and contains no text of peers.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from types import MappingProxyType

from sockd.capture import headers
from sockd.capture.filters import Port, capture_filter
from sockd.config.specs import CaptureSpec
from sockd.errors import CaptureError, Problem, SourceLocation
from sockd.support.text import glance

WHOLE_PACKET = 65_536 + 256
"""The snapshot length for whole packets, in bytes."""

_PROGRAM = "dumpcap"
_INSTALL = "Debian: apt-get install wireshark-common"
_PERMIT = (
    "Debian: dpkg-reconfigure wireshark-common, answer yes, and add the user that sockd runs as to"
    " the group wireshark; elsewhere: setcap cap_net_raw,cap_net_admin=eip on dumpcap"
)
RESTART_HINT = "capture.start() in the admin shell starts it again"
"""The hint for errors whose cause may be gone."""

_COMPLAINTS = MappingProxyType(
    {
        r"You do not have permission|not permitted": (
            ("", "dumpcap has no permission to capture", _PERMIT)
        ),
        r"There is no device": (
            ("interface", "unknown interface", "`ip link` lists them; any captures on all")
        ),
        r"no longer attached|is not up|network is down|went down": (
            ("interface", "the interface is gone or down", f"see `ip link`; {RESTART_HINT}")
        ),
    }
)
"""By the message of dumpcap: the option at fault, the message, and the hint."""


def program(path: str | None, location: SourceLocation) -> str:
    """Return the path of the program.

    :param path: the folders to search, as in ``$PATH``.
    :raise CaptureError: if it is not found, or this user may not run it.
    """
    found = shutil.which(_PROGRAM, path=path)
    if found is not None:
        return found
    if shutil.which(_PROGRAM, mode=0, path=path) is not None:
        raise CaptureError([Problem(location, "this user may not run dumpcap", _PERMIT)])
    raise CaptureError([Problem(location, "dumpcap is not installed", _INSTALL)])


def command(path: str, spec: CaptureSpec, ports: Iterable[Port]) -> list[str]:
    """Return the command line that writes the packets of some ports to standard output."""
    length = WHOLE_PACKET if spec.payload else headers.MAX_HEADERS
    return [
        path,
        *("-q", "-p", "-n", "-i", spec.interface, "-s", str(length)),
        *("-f", capture_filter(ports), "-w", "-"),
    ]


def complaint(said: str, ending: str, spec: CaptureSpec) -> CaptureError | None:
    """Return the error of a dumpcap that was not stopped by sockd.

    :param said: what it wrote to standard error.
    :param ending: how the process ended, such as ``signal 9``; empty for an exit status of 0.
    :return: ``None`` if it was interrupted.
    """
    for pattern, (option, message, hint) in _COMPLAINTS.items():
        if re.search(pattern, said, re.IGNORECASE):
            return CaptureError([Problem(spec.locations[option], message, hint)])
    said_last = re.search(r"^dumpcap: (.+)$", said, re.MULTILINE)
    if said_last is None and not ending:
        return None
    reason = f": {glance(said_last[1])}" if said_last is not None else ""
    message = f"dumpcap ended with {ending or 'an error'}{reason}"
    return CaptureError([Problem(spec.locations[""], message, RESTART_HINT)])
