"""The capture filter names the ports of the listeners only, as they come and go."""

from __future__ import annotations

import pytest

from sockd.capture.filters import Followed, Port, capture_filter, ports_of
from sockd.model.address import Address
from sockd.model.records import Listener, ServiceRecord
from sockd.testing import FakeDaemon


def listener(transport: str, host: str, port: int | None = 7000) -> Listener:
    return Listener(transport, Address(host, port), 50)


@pytest.mark.parametrize(
    ("transport", "host", "expected"),
    [
        ("tcp", "127.0.0.1", Port("tcp", 7000, "127.0.0.1")),
        ("tls", "127.0.0.1", Port("tcp", 7000, "127.0.0.1")),
        ("udp", "0:0::1", Port("udp", 7000, "::1")),
        ("udp", "fe80::1%eth0", Port("udp", 7000, "fe80::1")),
        ("tcp", "0.0.0.0", Port("tcp", 7000)),
        ("tcp", "::", Port("tcp", 7000)),
    ],
)
def test_a_listener_is_a_port_on_the_wire(transport: str, host: str, expected: Port) -> None:
    assert ports_of([listener(transport, host)]) == {expected}


def test_a_unix_socket_is_on_no_wire() -> None:
    assert ports_of([listener("unix", "/run/lab.sock", None)]) == frozenset()
    assert capture_filter([]) == ""


def test_nothing_but_addresses_and_numbers_gets_into_the_filter() -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        ports_of([listener("tcp", "127.0.0.1 or tcp")])


def test_the_filter_says_the_address_and_the_port_of_one_end() -> None:
    ports = [Port("udp", 1, "::1"), Port("tcp", 2, "127.0.0.1"), Port("tcp", 3)]
    assert capture_filter(ports) == (
        "(ip src host 127.0.0.1 and tcp src port 2) or (ip dst host 127.0.0.1 and tcp dst port 2)"
        " or (tcp src port 3) or (tcp dst port 3)"
        " or (ip6 src host ::1 and udp src port 1) or (ip6 dst host ::1 and udp dst port 1)"
    )


def test_the_port_of_a_stopped_service_stays_until_its_last_connection_is_gone() -> None:
    daemon, followed = FakeDaemon(), Followed()
    service = daemon.add("echo")
    records: list[ServiceRecord] = [service.record]
    before = followed.ports(records)
    assert before == {Port("tcp", 65432, "127.0.0.1")}
    connection = service.open()
    daemon.ledger.unbound(service.record)
    assert followed.ports(records) == before
    service.close(connection)
    assert followed.ports(records) == frozenset()
