"""The log line of a refused client quotes the limit as in the configuration."""

from __future__ import annotations

import pytest

from sockd.limits.terms import terms
from sockd.model.reasons import RefusalReason
from tests.clients import LOOPBACK, ask, connect, receive_to_end, udp_client
from tests.configurations import read
from tests.conftest import RunSockd
from tests.harness import Sockd
from tests.test_reload import reload

SERVICE = "[service:s]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
UDP = "[service:u]\nkind = udp\nlisten = udp:0:interface=127.0.0.1\n"


@pytest.mark.parametrize(
    ("line", "reason", "said"),
    [
        ("max_connections = 10", RefusalReason.FULL, "full, max_connections = 10"),
        ("per_source = 2", RefusalReason.PER_SOURCE, "per_source = 2"),
        ("connect_rate = 5/s", RefusalReason.CONNECT_RATE, "connect_rate = 5/s"),
        ("connect_rate = 90 / m", RefusalReason.CONNECT_RATE, "connect_rate = 90/m"),
        ("total_rate = 1/ms", RefusalReason.TOTAL_RATE, "total_rate = 1/ms"),
        ("source_packets = 7/h", RefusalReason.SOURCE_PACKETS, "source_packets = 7/h"),
        ("source_bytes = 10MiB/s", RefusalReason.SOURCE_BYTES, "source_bytes = 10MiB/s"),
        ("source_bytes = 1500B/s", RefusalReason.SOURCE_BYTES, "source_bytes = 1500B/s"),
        ("total_packets = 3/s", RefusalReason.TOTAL_PACKETS, "total_packets = 3/s"),
        ("total_bytes = 64KB/m", RefusalReason.TOTAL_BYTES, "total_bytes = 64KB/m"),
        ("total_bytes = 1024KiB/m", RefusalReason.TOTAL_BYTES, "total_bytes = 1MiB/m"),
    ],
)
def test_a_limit_is_said_as_the_file_has_it(line: str, reason: RefusalReason, said: str) -> None:
    kind = "udp:7000" if line.startswith(("source", "total_p", "total_b")) else "tcp:7000"
    name = "udp" if kind == "udp:7000" else "multi"
    (spec,) = read(f"[service:s]\nkind = {name}\nlisten = {kind}\n{line}\n").services
    assert terms(spec.limits, spec.max_connections)[reason] == said


def test_what_has_no_limit_has_no_term() -> None:
    (spec,) = read(SERVICE).services
    assert RefusalReason.CONNECT_RATE not in terms(spec.limits, spec.max_connections)
    assert RefusalReason.PER_SOURCE not in terms(spec.limits, spec.max_connections)
    assert (
        terms(spec.limits, spec.max_connections)[RefusalReason.SOURCE_PACKETS]
        == "source_packets = 1000/s"
    )


def refuse_one(sockd: Sockd) -> None:
    with connect(sockd.port("s")) as refused:
        assert receive_to_end(refused) == b""


def test_the_line_of_a_refused_client_names_the_limit_and_its_value(run_sockd: RunSockd) -> None:
    stats = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
    sockd = run_sockd(f"{SERVICE}per_source = 1\n{UDP}source_packets = 1/h\n{stats}")
    with connect(sockd.port("s")) as client:
        assert ask(client, b"hello") == b"hello"
        refuse_one(sockd)
        sockd.wait_for(r"Refused 127\.0\.0\.1:\d+ on 127\.0\.0\.1:\d+: per_source = 1 \(s\)$")
        reload(sockd, f"{SERVICE}max_connections = 1\n{UDP}source_packets = 2/h\n{stats}")
        refuse_one(sockd)
        sockd.wait_for(r"Refused \S+ on \S+: full, max_connections = 1 \(s\)$")
    with udp_client() as client:
        for _ in range(2):
            client.sendto(b"hello", (LOOPBACK, sockd.port("u")))
            assert client.recv(100) == b"hello"
        client.sendto(b"hello", (LOOPBACK, sockd.port("u")))
        sockd.wait_for(r"Refused \S+ on \S+: source_packets = 2/h \(u\)$")
    assert sockd.service("s")["refusals"] == {"per_source": 1, "full": 1}


def test_a_reload_that_is_refused_leaves_what_the_lines_say(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"{SERVICE}max_connections = 1\n")
    with connect(sockd.port("s")) as client:
        assert ask(client, b"hello") == b"hello"
        port = sockd.port("s")
        log = reload(
            sockd,
            f"[service:s]\nkind = tcp\nlisten = tcp:0:interface=127.0.0.1, tcp:{port}\n"
            "max_connections = 9\n",
        )
        assert "Nothing was changed" in log
        refuse_one(sockd)
        sockd.wait_for(r"Refused \S+ on \S+: full, max_connections = 1 \(s\)$")
