"""A parser of server-sent events (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sent:
    """One event."""

    id: str
    type: str
    data: Any

    @property
    def number(self) -> int:
        """The number in the id, which increases from event to event."""
        return int(self.id.rpartition("-")[2])


def events(text: str) -> list[Sent]:
    """Return the whole events in a text."""
    return list(gathered(text.splitlines(keepends=True)))


def gathered(lines: Iterable[str]) -> Iterator[Sent]:
    """Return the events of a stream as its lines come."""
    fields: dict[str, str] = {}
    for line in lines:
        if line == "\n":
            if "data" in fields:
                yield Sent(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.removesuffix("\n").partition(": ")
            assert name not in fields, line
            fields[name] = value
