"""The answers of every path, from a fake daemon."""

from __future__ import annotations

import json
import os

import pytest

from sockd import __version__
from sockd.model.reasons import EndReason
from sockd.model.records import State
from sockd.testing import STARTED, FakeDaemon
from tests.stats_client import Endpoint


def test_the_index_names_every_path() -> None:
    reply = Endpoint().ask("/")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    for path in ("/health", "/stats", "/services/NAME", "/connections/ID", "/ports"):
        assert path in reply.body.decode()


def test_health_is_ok_while_all_services_listen() -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("echo")
    assert endpoint.get("/health") == {"status": "ok"}


def test_health_names_the_services_that_failed() -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("good")
    endpoint.daemon.add("bad").record.state = State.FAILED
    reply = endpoint.ask("/health")
    assert (reply.status, reply.json) == (503, {"status": "failed", "services": ["bad"]})


def test_health_is_not_ok_while_draining() -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("bad").record.state = State.FAILED
    endpoint.daemon.draining = True
    reply = endpoint.ask("/health")
    assert (reply.status, reply.json) == (503, {"status": "draining"})


def test_stats_show_the_daemon_the_services_and_the_totals() -> None:
    endpoint = Endpoint()
    echo, upper = endpoint.daemon.add("echo"), endpoint.daemon.add("upper")
    echo.clients_waiting = 3
    echo.open().received(5, STARTED)
    upper.open().sent(7, STARTED)
    upper.refuse()
    endpoint.clock.advance(1.5)
    stats = endpoint.get("/stats")
    assert stats["daemon"] == {
        "name": "lab",
        "version": __version__,
        "pid": os.getpid(),
        "started": "2023-11-14T22:13:20.000000Z",
        "uptime": 1.5,
        "reactor": "fake",
    }
    assert [one["name"] for one in stats["services"]] == ["echo", "upper"]
    assert stats["services"] == endpoint.get("/services")["services"]
    assert stats["services"][0]["listeners"][0]["waiting"] == 3
    assert stats["totals"] == {
        "active": 2,
        "opened": 2,
        "closed": 0,
        "refused": 1,
        "bytes_in": 5,
        "bytes_out": 7,
        "reads": 1,
        "writes": 1,
        "errors": 0,
    }


def test_one_service_is_the_same_object_as_in_the_list() -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("echo")
    assert endpoint.get("/services/echo") == endpoint.get("/services")["services"][0]
    assert endpoint.get("/services/%65cho")["name"] == "echo"


def test_a_connection_shows_what_the_kernel_knows_while_it_is_open() -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    echo.kernel_view = {"state": "established", "rtt": 0.001}
    connection = echo.open("192.0.2.1", 50412)
    view = endpoint.get("/connections/1")
    assert view == endpoint.get("/connections")["connections"][0]
    assert view["tcp"] == {"state": "established", "rtt": 0.001}
    assert view["peer"] == {"host": "192.0.2.1", "port": 50412}
    assert view["display_filter"] == "tcp.port == 65432 && tcp.port == 50412"
    echo.close(connection, EndReason.RESET)
    closed = endpoint.get("/connections/1")
    assert (closed["state"], closed["reason"], closed["tcp"]) == ("closed", "reset", None)


def test_a_connection_outlives_its_service_in_the_list() -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("echo").open()
    del endpoint.daemon.services["echo"]
    (view,) = endpoint.get("/connections")["connections"]
    assert (view["service"], view["tcp"]) == ("echo", None)


def test_a_forgotten_connection_is_not_found() -> None:
    endpoint = Endpoint(FakeDaemon(history=1))
    echo = endpoint.daemon.add("echo")
    for connection in [echo.open(), echo.open()]:
        echo.close(connection)
    assert endpoint.ask("/connections/1").status == 404
    assert endpoint.get("/connections/2")["id"] == 2


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/stats/",
        "//stats",
        "/services/",
        "/services/nope",
        "/services/echo/more",
        "/health/echo",
        "/connections/",
        "/connections/0",
        "/connections/x",
        "/connections/%D9%A1",
        "/connections/-1",
        "/connections/" + "9" * 5000,
        "/%2F",
        "/..%2fetc",
    ],
)
def test_what_is_not_there_is_not_found_and_says_so_in_json(path: str) -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("echo").open()
    reply = endpoint.ask(path)
    assert reply.status == 404
    assert list(reply.json) == ["error"]


def test_ports_show_one_local_port_and_each_peer_port() -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    endpoint.daemon.add("quiet")
    echo.open("192.0.2.1", 50002)
    echo.open("192.0.2.1", 50001)
    echo.open("192.0.2.2", 50001)
    echo.close(echo.open("192.0.2.3", 1))
    busy, quiet = endpoint.get("/ports")["ports"]
    assert busy == {
        "transport": "tcp",
        "host": "127.0.0.1",
        "port": 65432,
        "service": "echo",
        "peers": [
            {"host": "192.0.2.1", "ports": [50001, 50002]},
            {"host": "192.0.2.2", "ports": [50001]},
        ],
        "distinct_local_ports": 1,
        "distinct_peer_ports": 3,
        "sentence": (
            "the server's port is the same for all 3 connections;"
            " the 3 clients have 2 different ports on 2 hosts"
        ),
    }
    assert (quiet["service"], quiet["peers"], quiet["distinct_peer_ports"]) == ("quiet", [], 0)


def test_without_services_the_lists_are_empty() -> None:
    endpoint = Endpoint()
    assert endpoint.get("/ports") == {"ports": []}
    assert endpoint.get("/services") == {"services": []}
    assert endpoint.get("/connections") == {"connections": [], "next": None}


def test_paging_repeats_nothing_and_misses_nothing_while_connections_come_and_go() -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    connections = [echo.open() for _ in range(500)]
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = endpoint.get(f"/connections?limit=60&after={after}")
        seen += [one["id"] for one in page["connections"]]
        assert len(page["connections"]) <= 60
        after = page["next"]
        echo.close(connections.pop(0))
        echo.close(connections.pop())
    assert seen == sorted(set(seen))
    assert {one.id for one in connections} <= set(seen)


@pytest.mark.parametrize(("count", "following"), [(59, None), (60, None), (61, 60)])
def test_next_is_null_exactly_when_there_is_no_more(count: int, following: int | None) -> None:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    for _ in range(count):
        echo.open()
    page = endpoint.get("/connections?limit=60")
    assert (len(page["connections"]), page["next"]) == (min(count, 60), following)


def test_next_counts_only_what_is_selected() -> None:
    endpoint = Endpoint()
    echo, other = endpoint.daemon.add("echo"), endpoint.daemon.add("other")
    echo.open()
    echo.open()
    other.open()
    assert endpoint.get("/connections?service=echo&limit=1")["next"] == 1
    assert endpoint.get("/connections?service=echo&limit=2")["next"] is None


def test_closed_connections_of_a_service_that_is_gone_can_be_asked_for() -> None:
    endpoint = Endpoint()
    gone, echo = endpoint.daemon.add("gone"), endpoint.daemon.add("echo")
    closed = gone.open()
    gone.close(closed)
    echo.close(echo.open())
    endpoint.daemon.ledger.forget(gone.record)
    [found] = endpoint.get("/connections?service=gone&state=closed")["connections"]
    assert found["id"] == closed.id


def test_names_are_escaped() -> None:
    endpoint = Endpoint()
    endpoint.daemon.name = 'a"b\n\x1b[2J\u202e'
    reply = endpoint.ask("/stats")
    assert reply.body.isascii()
    assert b"\x1b" not in reply.body
    assert json.loads(reply.body)["daemon"]["name"] == endpoint.daemon.name
