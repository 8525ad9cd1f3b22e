"""What must be the same whenever the lab is played, and what may differ. Pure.

The clients' ephemeral ports are numbered in the pages, so that a reader recognises them from one
block to the next. The rest of what differs (times, process ids, when the kernel acknowledges) is in
the pages as it was when they were last filled, and is left out of the comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FIRST_PORT = 50001
"""What the first client's ephemeral port becomes."""

_EPHEMERAL = range(32768, 61000)
"""Where Linux takes them from (ip(7), ip_local_port_range). The services' are above."""

_CLIENT = re.compile(r"(?:Connected by|First datagram from) \S+:(\d+) on ")
_BARE_ACKNOWLEDGEMENT = re.compile(r"^.* \[ACK\] .*\n", re.MULTILINE)
_SOCKET = re.compile(
    r" (?P<local>\S+):(?P<port>\d+)(?: +|->)(?P<peer>\S+:(?P<peer_port>[\d*]+)|\(LISTEN\))"
)
_TOTALS = re.compile(r"(<-> \S+).*$", re.MULTILINE)
_VOLATILE = (
    (re.compile(r"(?<![\d.])\d+\.\d{2,}(?![\d.])"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d \S+|\d\d:\d\d:TIME"), "TIME"),
    (re.compile(r"(?<=sockd )\d+\.\d+\.\d+|(?<=Nmap )TIME"), "VERSION"),
    (re.compile(r"(?<=after )\d+(?= ms)"), "TIME"),
    (re.compile(r"(?<=process )\d+|(?<=tshark:)\d+"), "PID"),
    (re.compile(r"(?<=the password is )\S+"), "PASSWORD"),
    (re.compile(r"(?<=MAC Address: )\S+ .*"), "MAC"),
    (re.compile(r"(TSval|TSecr|Win|WS|MSS)=\d+"), r"\1=N"),
    # lsof: the process, whose it is, the file descriptor, and the number of the socket.
    (re.compile(r"^(nc|twistd) +\d+ +\S+ +\d+u +(IPv\d) +\d+", re.MULTILINE), r"\1 \2"),
    (re.compile(r"^ +\d+ TIME", re.MULTILINE), "FRAME"),
    (re.compile(r"(?<=\S)  +"), " "),
)


def essence(text: str) -> str:
    """Return a block without what differs from run to run."""
    text = _BARE_ACKNOWLEDGEMENT.sub("", text)
    text = _TOTALS.sub(r"\1", text)
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def clients_ports(log: str) -> list[int]:
    """Return the ephemeral ports of the clients, in the order in which the log names them."""
    ports = dict.fromkeys(map(int, _CLIENT.findall(log)))
    return [port for port in ports if port in _EPHEMERAL]


def renumbered(text: str, ports: Iterable[int]) -> str:
    """Return the text with the first of these ports as 50001, the second as 50002, and so on."""
    names = {str(port): str(FIRST_PORT + index) for index, port in enumerate(ports)}
    return re.sub(r"(?<![\d.])\d{5}(?![\d.])", lambda found: names.get(found[0], found[0]), text)


def in_order(table: str) -> str:
    """Return a table of sockets in an order of its own; the kernel has them in any.

    The headings stay on top. Then come those that listen, the server's end of each connection, and
    the client's.
    """
    return "".join(sorted(table.splitlines(keepends=True), key=_rank))


def _rank(line: str) -> tuple[int, str]:
    found = _SOCKET.search(line)
    if found is None:
        return (0, "")
    if not (found["peer_port"] or "*").isdigit():
        return (1, found["port"])
    is_client = int(found["peer_port"]) > _EPHEMERAL[-1]
    return (3 if is_client else 2, found["local"] + found["port"] + found["peer"])
