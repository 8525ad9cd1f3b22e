"""However a stream is cut, what comes back is the same, on every path that bytes can take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import RunSockd
from tests.fuzzing import Leave, bounded, chunks, converse, unshaken

LAB = """
[sockd]
{way}
[service:echo]
kind = multi
listen = tcp:0:interface=127.0.0.1
[service:upper]
kind = multi
reply = upper
listen = tcp:0:interface=127.0.0.1
[service:short]
kind = multi
max_bytes = 100B
listen = tcp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
"""
streams = st.binary(max_size=300) | st.integers(0, 300_000).map(
    lambda size: b"ab\r\n" * (size // 4)
)


@pytest.mark.parametrize("way", ["lane = yes", "io_uring = no", "lane = no"])
def test_what_comes_back_does_not_depend_on_how_it_was_cut(run_sockd: RunSockd, way: str) -> None:
    sockd = run_sockd(LAB.format(way=way))
    expected = {
        "echo": lambda data: data,
        "upper": lambda data: data.upper(),
        "short": lambda data: data[:100],
    }
    ports = {name: sockd.port(name) for name in expected}

    @bounded
    @given(st.sampled_from(list(expected)), chunks(streams), st.sampled_from(Leave))
    def ask(name: str, parts: list[bytes], leave: Leave) -> None:
        answer = converse(ports[name], parts, leave)
        data = b"".join(parts)
        if answer is not None:
            assert answer == expected[name](data)
        else:
            assert leave is not Leave.AFTER_THE_END or (name == "short" and len(data) > 100)

    # The lane has a descriptor of its own from its first connection on.
    assert converse(ports["echo"], [b"first"], Leave.AFTER_THE_END) == b"first"
    with unshaken(sockd):
        ask()
