"""Datagrams of every shape: answered or not, never with more than came, and never a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.clients import udp_client
from tests.conftest import RunSockd
from tests.fuzzing import bounded, unshaken

LAB = """
[sockd]
source_packets = 0
source_bytes = 0
total_packets = 0
total_bytes = 0
idle_timeout = 200ms
[service:echo]
kind = udp
listen = udp:0
[service:upper]
kind = udp
reply = upper
strip = yes
listen = udp:0:interface=\\:\\:
[stats]
listen = tcp:0:interface=127.0.0.1
"""
MOST = 65_507
"""The longest datagram of UDP over IPv4."""

hosts = st.sampled_from(["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"])
datagrams = (
    st.binary(max_size=100)
    | st.sampled_from([b"", b"\0", b" \t\r\n", b"x" * 8192, b"x" * 8193, b"\xff" * MOST])
    | st.integers(0, MOST).map(bytes)
)


def test_every_datagram_is_answered_with_what_is_meant(run_sockd: RunSockd) -> None:
    sockd = run_sockd(LAB)
    ports = {name: sockd.port(name) for name in ("echo", "upper")}

    @bounded
    @given(hosts, st.lists(datagrams, min_size=1, max_size=5))
    def ask(host: str, sent: list[bytes]) -> None:
        name = "upper" if ":" in host else "echo"
        with udp_client(host) as client:
            for data in sent:
                client.sendto(data, (host, ports[name]))
                answer, sender = client.recvfrom(65_536)
                assert sender[:2] == (host, ports[name])
                assert answer == (data.strip().upper() if name == "upper" else data)

    with unshaken(sockd):
        ask()
