"""Runs tshark on a capture."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import DEADLINE

_FIELDS = (
    *("frame.number", "frame.len", "frame.cap_len", "ip.len", "tcp.len", "udp.length"),
    *("ip.src", "ip.dst", "ipv6.src", "ipv6.dst"),
    *("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport"),
    *("tcp.flags.syn", "tcp.flags.fin", "tcp.analysis.retransmission"),
)

End = tuple[str, int]


@dataclass(frozen=True)
class Packet:
    """One packet.

    :ivar size: its length on the wire; ``captured`` is how much of it there is.
    :ivar payload: the length of what TCP or UDP carried.
    """

    number: int
    protocol: str
    source: End
    target: End
    size: int
    captured: int
    ip_length: int
    payload: int
    is_syn: bool
    is_fin: bool
    is_repeated: bool


class Tshark:
    """Reads one file."""

    def __init__(self, program: str, file: Path) -> None:
        self._program = program
        self.file = file

    def packets(self, display_filter: str = "") -> list[Packet]:
        """Return the packets that a display filter selects; without one, all."""
        fields = [word for name in _FIELDS for word in ("-e", name)]
        chosen = ("-Y", display_filter) if display_filter else ()
        lines = self._run("-T", "fields", *fields, *chosen).splitlines()
        return [_packet(dict(zip(_FIELDS, line.split("\t"), strict=True))) for line in lines]

    def conversations(self, protocol: str) -> set[frozenset[End]]:
        """Return the two ends of each conversation, as Wireshark lists them."""
        text = self._run("-q", "-z", f"conv,{protocol}")
        return {
            frozenset({_end(found[1]), _end(found[2])})
            for found in re.finditer(r"^(\S+:\d+)\s+<-> (\S+:\d+) ", text, re.MULTILINE)
        }

    def frames(self, display_filters: Sequence[str]) -> list[tuple[int, int]]:
        """Return how many frames each filter selects, and the sum of their numbers, in one run."""
        columns = [
            f"{function}(frame.number)frame.number && ({one})"
            for one in display_filters
            for function in ("COUNT", "SUM")
        ]
        text = self._run("-q", "-z", ",".join(["io,stat", "0", *columns]))
        (row,) = re.findall(r"^\| *[0-9.]+ <> .*$", text, re.MULTILINE)
        cells = [int(cell) for cell in row.split("|")[2:-1]]
        return list(zip(cells[::2], cells[1::2], strict=True))

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [self._program, "-n", "-r", str(self.file), *words],
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def needs_dumpcap(tool: Callable[[str, str], str]) -> None:
    """Skip a test where nothing can be captured; in CI it fails for want of the program."""
    tool("dumpcap", "wireshark-common")
    if os.geteuid() != 0:
        pytest.skip("captures are for root")


def payload_bytes(packets: Sequence[Packet]) -> Counter[tuple[str, End, End]]:
    """Return how many bytes went each way, each counted once."""
    passed: Counter[tuple[str, End, End]] = Counter()
    for one in packets:
        if not one.is_repeated:
            passed[one.protocol, one.source, one.target] += one.payload
    return passed


def _packet(row: dict[str, str]) -> Packet:
    protocol = "tcp" if row["tcp.srcport"] else "udp"
    hosts = (row["ip.src"] or row["ipv6.src"], row["ip.dst"] or row["ipv6.dst"])
    carried = int(row["tcp.len"]) if protocol == "tcp" else int(row["udp.length"]) - 8
    return Packet(
        number=int(row["frame.number"]),
        protocol=protocol,
        source=(hosts[0], int(row[f"{protocol}.srcport"])),
        target=(hosts[1], int(row[f"{protocol}.dstport"])),
        size=int(row["frame.len"]),
        captured=int(row["frame.cap_len"]),
        ip_length=int(row["ip.len"] or 0),
        payload=carried,
        is_syn=row["tcp.flags.syn"] in ("1", "True"),
        is_fin=row["tcp.flags.fin"] in ("1", "True"),
        is_repeated=bool(row["tcp.analysis.retransmission"]),
    )


def _end(text: str) -> End:
    host, _, port = text.rpartition(":")
    return host, int(port)
