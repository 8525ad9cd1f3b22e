"""The JSON objects of the ledger, exactly as documented."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sockd.model.address import Address
from sockd.model.ledger import Ledger
from sockd.model.reasons import EndReason, RefusalReason
from sockd.model.records import Listener, State
from sockd.render.fields import display_filter
from sockd.render.json_views import (
    PortsTable,
    connection_view,
    listener_view,
    service_view,
    totals_view,
)

if TYPE_CHECKING:
    from sockd.model.records import Connection, ServiceRecord

TCP = Listener("tcp", Address("127.0.0.1", 65432), 50)
UDP = Listener("udp", Address("0.0.0.0", 65431), None)
UNIX = Listener("unix", Address("/run/lab"), 50)
STARTED = 1_700_000_000.0


def ledger() -> Ledger:
    return Ledger(lambda: STARTED)


def opened(
    book: Ledger, service: ServiceRecord, peer: Address, listener: Listener = TCP
) -> Connection:
    return book.open(service, listener, listener.address, peer)


def test_a_service_has_its_listeners_and_counters() -> None:
    book = ledger()
    service = book.add_service("lab", "multi", "echo")
    book.bound(service, (TCP, UDP))
    connection = opened(book, service, Address("127.0.0.1", 50001))
    connection.received(5, STARTED)
    connection.sent(4, STARTED)
    opened(book, service, Address("127.0.0.1", 50002))
    book.close(connection, EndReason.ERROR)
    book.refuse(service, TCP, Address("127.0.0.1", 50003), RefusalReason.FULL)
    view = service_view(service, lambda listener: 3 if listener is TCP else None)
    assert json.loads(json.dumps(view)) == {
        "name": "lab",
        "kind": "multi",
        "reply": "echo",
        "state": "listening",
        "listeners": [
            {
                "transport": "tcp",
                "host": "127.0.0.1",
                "port": 65432,
                "backlog": 50,
                "waiting": 3,
            },
            {
                "transport": "udp",
                "host": "0.0.0.0",
                "port": 65431,
                "backlog": None,
                "waiting": None,
            },
        ],
        "active": 1,
        "opened": 2,
        "closed": 1,
        "refused": 1,
        "bytes_in": 5,
        "bytes_out": 4,
        "reads": 1,
        "writes": 1,
        "errors": 1,
        "ends": {"error": 1},
        "refusals": {"full": 1},
    }


def test_a_state_is_a_plain_word() -> None:
    service = ledger().add_service("lab", "multi", "echo")
    for state, word in (
        (State.STOPPED, "stopped"),
        (State.PAUSED, "paused"),
        (State.FAILED, "failed"),
    ):
        service.state = state
        assert service_view(service, lambda _: None)["state"] == word


def test_a_unix_listener_has_a_path_and_no_port() -> None:
    view = listener_view(UNIX, 0)
    assert (view["host"], view["port"], view["waiting"]) == ("/run/lab", None, 0)


def test_totals_are_sums() -> None:
    book = ledger()
    for name in ("a", "b"):
        service = book.add_service(name, "multi", "echo")
        for port in (50001, 50002):
            opened(book, service, Address("127.0.0.1", port)).received(10, STARTED)
    totals = totals_view(iter(book.services.values()))
    assert totals == {
        "active": 4,
        "opened": 4,
        "closed": 0,
        "refused": 0,
        "bytes_in": 40,
        "bytes_out": 0,
        "reads": 4,
        "writes": 0,
        "errors": 0,
    }
    assert totals_view([])["opened"] == 0


def test_an_open_connection_has_no_end() -> None:
    book = ledger()
    service = book.add_service("lab", "multi", "echo")
    connection = opened(book, service, Address("127.0.0.1", 50412))
    connection.received(5, STARTED + 1.5)
    connection.sent(4, STARTED + 2)
    assert json.loads(json.dumps(connection_view(connection, {"rtt": 40}))) == {
        "id": 1,
        "service": "lab",
        "kind": "multi",
        "transport": "tcp",
        "state": "open",
        "local": {"host": "127.0.0.1", "port": 65432},
        "peer": {"host": "127.0.0.1", "port": 50412},
        "via": None,
        "opened": "2023-11-14T22:13:20.000000Z",
        "last_activity": "2023-11-14T22:13:22.000000Z",
        "closed": None,
        "reason": None,
        "bytes_in": 5,
        "bytes_out": 4,
        "reads": 1,
        "writes": 1,
        "display_filter": "tcp.port == 65432 && tcp.port == 50412",
        "tcp": {"rtt": 40},
    }


def test_a_closed_connection_has_a_reason() -> None:
    book = ledger()
    service = book.add_service("lab", "udp", "echo")
    connection = opened(book, service, Address("192.0.2.1", 1234), UDP)
    book.close(connection, EndReason.IDLE)
    view = connection_view(connection, None)
    assert (view["state"], view["reason"], view["tcp"]) == ("closed", "idle", None)
    assert view["closed"] == "2023-11-14T22:13:20.000000Z"
    assert view["display_filter"] == "udp.port == 65431 && udp.port == 1234"


def test_wireshark_cannot_filter_a_unix_socket() -> None:
    book = ledger()
    connection = opened(book, book.add_service("lab", "multi", "echo"), Address(""), UNIX)
    assert display_filter(connection) is None


def test_a_relayed_connection_has_a_balancer_whose_port_is_the_one_on_the_wire() -> None:
    book = ledger()
    service = book.add_service("lab", "multi", "echo")
    client, balancer = Address("192.0.2.1", 50412), Address("10.0.0.1", 40001)
    connection = book.open(service, TCP, TCP.address, client, balancer)
    view = connection_view(connection, None)
    assert view["peer"] == {"host": "192.0.2.1", "port": 50412}
    assert view["via"] == {"host": "10.0.0.1", "port": 40001}
    assert view["display_filter"] == "tcp.port == 65432 && tcp.port == 40001"


def test_a_tls_connection_is_filtered_as_tcp() -> None:
    book = ledger()
    tls = Listener("tls", Address("::1", 443), 50)
    connection = opened(book, book.add_service("lab", "multi", "echo"), Address("::1", 50001), tls)
    assert display_filter(connection) == "tcp.port == 443 && tcp.port == 50001"


def test_the_ports_table_shows_that_only_the_peers_port_changes() -> None:
    book = ledger()
    service = book.add_service("lab", "multi", "echo")
    book.bound(service, (TCP,))
    table = PortsTable(book.services.values())
    for host, port in (("127.0.0.1", 3), ("127.0.0.2", 1), ("127.0.0.1", 1), ("127.0.0.1", 2)):
        table.add(opened(book, service, Address(host, port)))
    assert list(table.views()) == [
        {
            "transport": "tcp",
            "host": "127.0.0.1",
            "port": 65432,
            "service": "lab",
            "peers": [
                {"host": "127.0.0.1", "ports": [1, 2, 3]},
                {"host": "127.0.0.2", "ports": [1]},
            ],
            "distinct_local_ports": 1,
            "distinct_peer_ports": 4,
            "sentence": (
                "the server's port is the same for all 4 connections;"
                " the 4 clients have 3 different ports on 2 hosts"
            ),
        }
    ]


def test_the_ports_table_has_a_row_for_each_listener_and_for_what_outlives_one() -> None:
    book = ledger()
    one, two = book.add_service("one", "multi", "echo"), book.add_service("two", "udp", "echo")
    book.bound(one, (TCP,))
    book.bound(two, (UDP,))
    connection = opened(book, one, Address("127.0.0.1", 50001))
    book.unbound(one)
    table = PortsTable(book.services.values())
    table.add(connection)
    assert [(row["service"], row["transport"]) for row in table.views()] == [
        ("two", "udp"),
        ("one", "tcp"),
    ]


def test_unix_clients_have_no_ports() -> None:
    book = ledger()
    service = book.add_service("lab", "multi", "echo")
    table = PortsTable([service])
    table.add(opened(book, service, Address(""), UNIX))
    (row,) = table.views()
    assert row["peers"] == [{"host": "", "ports": []}]
