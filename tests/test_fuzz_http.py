"""No bytes that reach the stats endpoint shake the daemon, and every answer is one of HTTP."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sockd.stats.http.answers import REASONS
from tests.conftest import RunSockd
from tests.fuzzing import Leave, bounded, chunks, converse, unshaken

LAB = """
[service:s]
kind = tcp
listen = tcp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
"""
PATHS = (
    b"/",
    b"/health",
    b"/stats",
    b"/services/s",
    b"/connections",
    b"/ports",
    b"/metrics",
    b"/events",
)
QUERY = b"?state=all&limit=1&after=%00&peer=::1"
NAMES = (b"Host", b"Content-Length", b"Transfer-Encoding", b"Expect", b"Connection", b"Accept")
VALUES = (
    b"localhost",
    b"[::1]:8007",
    b"chunked",
    b"100-continue",
    b"close",
    b"-1",
    b"5",
    b"9" * 30,
)

words = st.binary(max_size=20)
line_ends = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\n ", b"\0\r\n"])
methods = st.sampled_from([b"GET"] * 4 + [b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b""]) | words
targets = (
    st.sampled_from(PATHS)
    | st.builds(bytes.__add__, st.sampled_from(PATHS), st.just(QUERY) | words)
    | st.sampled_from([b"*", b"http://localhost/", b"http://[/", b"//", b"/%", b"/" * 20_000])
    | words
)
versions = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b""]) | words
fields = st.tuples(
    st.sampled_from(NAMES) | words,
    st.sampled_from([b": ", b":", b" : ", b""]),
    st.sampled_from(VALUES) | words | st.integers(1, 20_000).map(lambda size: b"x" * size),
).map(b"".join)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return something like a request, more or less."""
    end = draw(line_ends)
    first = b" ".join([draw(methods), draw(targets), draw(versions)])
    host = draw(st.sampled_from([[b"Host: localhost"]] * 3 + [[]]))
    lines = [first, *host, *draw(st.lists(fields, max_size=4))]
    return end.join(lines) + end * 2 + draw(words)


streams = st.lists(requests(), max_size=4).map(b"".join) | st.binary(max_size=300)
statuses = "|".join(str(status) for status in REASONS)
ANSWER = re.compile(rb"HTTP/[0-9.]+ (?:100|" + statuses.encode() + rb") [A-Z]")


def test_no_request_shakes_the_daemon(run_sockd: RunSockd) -> None:
    sockd = run_sockd(LAB)
    port = int(sockd.stats_url.rpartition(":")[2])

    @bounded
    @given(chunks(streams), st.sampled_from(Leave))
    def ask(parts: list[bytes], leave: Leave) -> None:
        answer = converse(port, parts, leave)
        assert not answer or ANSWER.match(answer)

    with unshaken(sockd):
        ask()
