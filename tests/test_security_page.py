"""The defaults on the page about security are the real ones."""

from __future__ import annotations

import pytest

from sockd.admin.connections import LOGIN_TIME
from sockd.admin.descriptors import MAX_UNAUTHENTICATED
from sockd.admin.prompt.interpreter import LONGEST_OUTPUT
from sockd.capture.service import MOST_VIEWERS
from sockd.config.values import byte_rate_limit, duration, rate_limit, size
from sockd.limits.buckets import UNLIMITED
from sockd.limits.sources import MOST_SOURCES
from sockd.services.flows import MAX_FLOWS
from sockd.stats.events.stream import MAX_SUBSCRIBERS
from sockd.stats.events.subscriber import STALL_TIMEOUT
from sockd.stats.http.answers import DELIVERY_TIMEOUT
from sockd.stats.http.site import MAX_CHANNELS, REQUEST_TIME
from sockd.support.files import LARGEST_FILE
from tests.configurations import SERVICE, read
from tests.fresh import REPOSITORY
from tests.test_documentation import rows, section

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
CONFIGURATION = read(f"{SERVICE}[admin]\n[capture]\n")
(SPEC,) = CONFIGURATION.services
ADMIN, CAPTURE = CONFIGURATION.admin, CONFIGURATION.capture
assert ADMIN is not None
assert CAPTURE is not None

WORDS = {"any number": (0, UNLIMITED), "no limit": (0, 0.0)}

NUMBERS = {
    "connections of a `multi` service": SPEC.max_connections,
    "clients in an accept queue": SPEC.backlog,
    "UDP flows per service": MAX_FLOWS,
    "sources tracked per service": MOST_SOURCES,
    "closed connections kept": CONFIGURATION.history,
    "HTTP connections": MAX_CHANNELS,
    "clients of `/events`": MAX_SUBSCRIBERS,
    "clients of `/capture.pcapng`": MOST_VIEWERS,
    "shell connections before login": MAX_UNAUTHENTICATED,
    "shell sessions": ADMIN.max_sessions,
    "characters of a statement's output": LONGEST_OUTPUT,
}
TIMES = {
    "time for an HTTP request": REQUEST_TIME,
    "time to read 64KiB of a response": DELIVERY_TIMEOUT,
    "time to read one piece of `/events`": STALL_TIMEOUT,
    "time without reading from `/capture.pcapng`": DELIVERY_TIMEOUT,
    "time to log in": LOGIN_TIME,
    "idle time of a shell session": ADMIN.idle_timeout,
    "run time of a statement": ADMIN.statement_timeout,
    "age of capture files": CAPTURE.max_age,
}
SIZES = {
    "size of all capture files": CAPTURE.max_size,
    "size of the INI file, and of each file that it names": LARGEST_FILE,
}
NO_LIMITS = {
    "connections per source": SPEC.limits.per_source,
    "new connections per source": SPEC.limits.connect_rate,
    "idle time of a connection": SPEC.idle_timeout,
    "lifetime of a connection": SPEC.limits.max_lifetime,
    "received bytes of a connection": SPEC.limits.max_bytes,
}
RATES = {
    "answered datagrams per source": SPEC.limits.source_packets,
    "answered datagrams": SPEC.limits.total_packets,
}
BYTE_RATES = {
    "answered bytes in datagrams per source": SPEC.limits.source_bytes,
    "answered bytes in datagrams": SPEC.limits.total_bytes,
}


def shown() -> dict[str, str]:
    """Return the table of the page: what is bounded, and the bound."""
    return {row[0]: row[1] for row in rows(section(PAGE, "## Defaults")) if row[0] != "what"}


def test_every_row_is_held_to_the_code() -> None:
    known = {**NUMBERS, **TIMES, **SIZES, **NO_LIMITS, **RATES, **BYTE_RATES}
    assert shown().keys() == known.keys()


@pytest.mark.parametrize("what", shown())
def test_a_default_on_the_page_is_the_default(what: str) -> None:
    text = shown()[what]
    if what in NUMBERS:
        assert int(text) == NUMBERS[what]
    elif what in TIMES:
        assert duration(text) == TIMES[what]
    elif what in SIZES:
        assert size(text) == SIZES[what]
    elif what in RATES:
        assert rate_limit(text) == RATES[what]
    elif what in BYTE_RATES:
        assert byte_rate_limit(text) == BYTE_RATES[what]
    else:
        assert NO_LIMITS[what] in WORDS[text]
