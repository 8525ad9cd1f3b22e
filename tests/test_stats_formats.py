"""Text tables and CSV: content negotiation and content."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from sockd.model.address import Address
from sockd.model.reasons import EndReason
from sockd.model.records import Listener
from sockd.render.json_views import PortsTable
from sockd.stats.http.formats import Format, preferred
from sockd.stats.http.query import ConnectionQuery
from sockd.stats.listings import connections_listing, ports_listing
from sockd.stats.slices import RECORDS_PER_SLICE, Selection
from sockd.testing import FakeDaemon
from tests.stats_client import Endpoint, Reply

PATHS = ("/services", "/connections", "/ports")
OFFERED = ("application/json", "text/plain", "text/csv")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


def busy() -> Endpoint:
    endpoint = Endpoint()
    echo = endpoint.daemon.add("echo")
    endpoint.daemon.add("quiet", "udp", "udp")
    echo.open("192.0.2.1", 50001).received(12345, endpoint.clock.seconds())
    echo.close(echo.open("2001:db8::1", 50002), EndReason.RESET)
    return endpoint


def table(reply: Reply) -> list[str]:
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["vary"] == "Accept"
    return reply.body.decode().splitlines()


def records(reply: Reply) -> list[dict[str, str]]:
    assert reply.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert reply.headers["vary"] == "Accept"
    return list(csv.DictReader(StringIO(reply.body.decode(), newline="")))


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        (BROWSER, "application/json"),
        ("text/plain", "text/plain"),
        ("TEXT/Plain ; q=0.3", "text/plain"),
        ("text/*", "text/plain"),
        ("text/csv, text/*;q=0.5", "text/csv"),
        ("text/plain, */*", "text/plain"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/plain;q=0.5, application/json;q=0.4", "text/plain"),
        ("text/plain;q=0, text/*", "text/csv"),
        ("application/json;q=0, */*;q=0.1", "text/plain"),
        ("text/plain;q=x", "text/plain"),
        ("text/plain;q=nan, text/csv;q=0.5", "text/plain"),
        ("image/png", None),
        ("*/*;q=0", None),
        ("gibberish,,;", "application/json"),
    ],
)
def test_the_media_type_that_a_client_likes_best(accept: str, best: str | None) -> None:
    assert preferred(accept, OFFERED) == best


@pytest.mark.parametrize("path", PATHS)
def test_a_format_counts_for_more_than_what_is_accepted(path: str) -> None:
    endpoint = busy()
    plain = "Accept: text/plain"
    assert table(endpoint.ask(path, "GET", plain))
    assert table(endpoint.ask(f"{path}?format=text", "GET", "Accept: application/json"))
    assert records(endpoint.ask(f"{path}?format=csv", "GET", plain))
    assert records(endpoint.ask(path, "GET", "Accept: text/csv"))
    assert endpoint.ask(f"{path}?format=json", "GET", plain).json == endpoint.get(path)
    for header in ("Accept: */*", "Accept: image/png", f"Accept: {BROWSER}"):
        reply = endpoint.ask(path, "GET", header)
        assert (reply.json, reply.headers["vary"]) == (endpoint.get(path), "Accept")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["format=xml", "format=", "format=JSON", "format=csv&format=csv"])
def test_an_unknown_format_is_told_which_there_are(path: str, query: str) -> None:
    reply = busy().ask(f"{path}?{query}")
    assert reply.status == 400
    assert ("json, text or csv" in reply.json["error"]) == ("&" not in query)


@pytest.mark.parametrize("path", ["/services", "/ports"])
def test_what_cannot_be_selected_there_is_told_and_not_passed_over(path: str) -> None:
    reply = busy().ask(f"{path}?service=echo")
    assert (reply.status, reply.json["error"]) == (400, "unknown parameter; known: format")


def test_the_services_are_a_table() -> None:
    endpoint = busy()
    lines = table(endpoint.ask("/services?format=text"))
    assert lines[0].split()[:6] == ["name", "kind", "reply", "state", "listens", "on"]
    echo, quiet = lines[1:]
    assert echo.split()[:5] == ["echo", "multi", "echo", "listening", "127.0.0.1:65432"]
    assert echo.index("127.0.0.1") == quiet.index("127.0.0.1") == lines[0].index("listens on")
    first, _ = records(endpoint.ask("/services?format=csv"))
    shown = [first[name] for name in ("listens_on", "waiting", "active", "bytes_in")]
    assert shown == ["127.0.0.1:65432", "", "1", "12345"]


def test_the_connections_are_a_table_that_says_how_to_go_on() -> None:
    endpoint = busy()
    endpoint.clock.advance(75)
    heading, first, second = table(endpoint.ask("/connections?format=text&state=all"))
    assert heading.split()[-1] == "ended"
    assert first.split() == [
        *("1", "echo", "tcp", "127.0.0.1:65432", "192.0.2.1:50001", "1m15s", "1m15s"),
        *("12345", "0", "1", "0", "-"),
    ]
    assert second.split()[4:6] == ["[2001:db8::1]:50002", "0.0s"]
    assert second.endswith("reset")
    *_, last = table(endpoint.ask("/connections?format=text&state=all&limit=1"))
    assert last == "there are more: ?after=1"


def test_an_empty_table_has_its_headings() -> None:
    endpoint = Endpoint()
    for path in PATHS:
        (heading,) = table(endpoint.ask(f"{path}?format=text"))
        assert heading
        lines = endpoint.ask(f"{path}?format=csv").body.split(b"\r\n")
        assert len(lines) == 2


def test_csv_has_what_json_has() -> None:
    endpoint = busy()
    rows = records(endpoint.ask("/connections?format=csv&state=all"))
    views = endpoint.get("/connections?state=all")["connections"]
    for row, view in zip(rows, views, strict=True):
        del view["tcp"]
        for end in ("local", "peer", "via"):
            address = view.pop(end) or {"host": None, "port": None}
            view |= {f"{end}_host": address["host"], f"{end}_port": address["port"]}
        assert row == {name: "" if it is None else str(it) for name, it in view.items()}


def test_the_ports_are_a_row_for_each_connection_and_the_sentences() -> None:
    endpoint = busy()
    heading, first, second, empty, *sentences = table(endpoint.ask("/ports?format=text"))
    assert heading.split() == ["service", "transport", "server", "client"]
    assert first.split() == ["echo", "tcp", "127.0.0.1:65432", "192.0.2.1:50001"]
    assert second.split() == ["quiet", "udp", "127.0.0.1:65432", "-"]
    assert empty == ""
    told = [row["sentence"] for row in endpoint.get("/ports")["ports"]]
    assert [line.partition("65432: ")[2] for line in sentences] == told
    row, _ = records(endpoint.ask("/ports?format=csv"))
    assert list(row.values()) == ["echo", "tcp", "127.0.0.1", "65432", "192.0.2.1", "50001"]


@pytest.mark.parametrize("path", ["=1+1", "+1", "-1", "@SUM(A1)", "\x1b[2J", 'a"b,c\r\nd', ""])
def test_a_unix_client_steers_neither_a_spreadsheet_nor_a_terminal(path: str) -> None:
    daemon = FakeDaemon()
    echo = daemon.add("echo")
    local = Listener("unix", Address("/run/echo"), 50)
    daemon.ledger.open(echo.record, local, local.address, Address(path))
    endpoint = Endpoint(daemon)
    for listing in ("/connections", "/ports"):
        rows = records(endpoint.ask(f"{listing}?format=csv"))
        assert rows[0]["peer_host"].lstrip("'").isprintable()
        assert not rows[0]["peer_host"].startswith(("=", "+", "-", "@"))
        (lines) = table(endpoint.ask(f"{listing}?format=text"))
        assert all(map(str.isprintable, lines))


@pytest.mark.parametrize("form", [Format.TEXT, Format.CSV])
def test_no_slice_of_a_listing_handles_many_records(form: Format) -> None:
    daemon = FakeDaemon()
    echo = daemon.add("echo")
    count = 20 * RECORDS_PER_SLICE
    for _ in range(count):
        echo.open()
    selection = Selection(daemon.ledger.open_connections(), ConnectionQuery(limit=count))
    ports = PortsTable([echo.record])
    for answer in (
        connections_listing(form, selection, daemon.clock.seconds()),
        ports_listing(form, daemon.ledger.open_connections(), ports),
    ):
        assert not isinstance(answer.body, bytes)
        lines = [part.count(b"\n") for part in answer.body if isinstance(part, bytes)]
        assert max(lines) <= RECORDS_PER_SLICE + 1
        assert sum(lines) >= count
