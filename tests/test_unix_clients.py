"""Clients of unix sockets may have any name that the system accepts."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients import ask, receive, receive_to_end
from tests.conftest import RunSockd
from tests.harness import DEADLINE, Sockd, wait_until
from tests.vitals import descriptors

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
NAMES: tuple[bytes, ...] = (
    *(b"n" * length for length in range(1, 9)),
    *(b"\0" + b"a" * length for length in range(8)),
    b"127.0.0.1",
    b"caf\xe9",
    b"\0caf\xe9\n",
    b"\x1b[2J\nBind",
    "grüße".encode(),
    rb"c:\xe9",
    b"=1+1",
    b"-x",
    b"\xed\xb3\xbf",
    b"",
)


def ini(kind: str, listen: str = "unix:lab.sock", more: str = "") -> str:
    return f"[service:s]\nkind = {kind}\nlisten = {listen}\n{more}{STATS}"


@contextmanager
def dialled(path: Path, name: bytes) -> Iterator[socket.socket]:
    """Connect from a name, or without one if it is empty."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        if name:
            client.bind(name)
        client.connect(os.fspath(path))
        yield client


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients bind short relative paths in a folder of their own."""
    location = tmp_path / "clients"
    location.mkdir()
    monkeypatch.chdir(location)


def text_of(sockd: Sockd, path: str) -> str:
    """Return an answer, which must be UTF-8."""
    with urllib.request.urlopen(sockd.stats_url + path, timeout=DEADLINE) as answer:
        body: bytes = answer.read()
    return body.decode("utf-8")


def hosts_in(sockd: Sockd, query: str) -> list[str]:
    """Return the peers of connections from JSON; each must be encodable."""
    rows = json.loads(text_of(sockd, f"/connections{query}"))["connections"]
    hosts = [row["peer"]["host"] for row in rows]
    assert all(host.encode("utf-8").decode("utf-8").isprintable() or not host for host in hosts)
    return hosts


@pytest.mark.parametrize(
    ("kind", "more"),
    [("multi", ""), ("tcp", ""), ("multi", "max_connections = 1\nwhen_full = wait\n")],
    ids=["multi", "tcp", "wait"],
)
def test_a_client_of_any_name_is_served(run_sockd: RunSockd, kind: str, more: str) -> None:
    sockd = run_sockd(ini(kind, more=more))
    for name in NAMES:
        with dialled(sockd.folder / "lab.sock", name) as client:
            assert ask(client, b"hello") == b"hello"
    wait_until(lambda: sockd.service("s")["closed"] == len(NAMES))
    service = sockd.service("s")
    assert (service["opened"], service["errors"], service["bytes_in"]) == (
        len(NAMES),
        0,
        5 * len(NAMES),
    )


def test_names_of_four_characters_are_refused_like_others_where_it_is_full(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(ini("multi", more="max_connections = 1\n"))
    with dialled(sockd.folder / "lab.sock", b"one1") as first:
        assert ask(first, b"x") == b"x"
        with dialled(sockd.folder / "lab.sock", b"two2") as second:
            assert receive_to_end(second) == b""
        wait_until(lambda: sockd.service("s")["refusals"] == {"full": 1})


def test_names_of_four_characters_are_served_behind_twisteds_wrapper(run_sockd: RunSockd) -> None:
    path = "haproxy:unix:lab.sock:mode=600"
    sockd = run_sockd(ini("multi", path))
    with dialled(sockd.folder / "lab.sock", b"four") as client:
        client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 4 5\r\nhello")
        assert receive(client, 5) == b"hello"


def test_names_of_four_characters_reach_stats_and_shell(run_sockd: RunSockd) -> None:
    sockd = run_sockd(
        "[service:s]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
        "[stats]\nlisten = unix:stats.sock\n"
        "[admin]\nssh = unix:ssh.sock\ntelnet = unix:telnet.sock\n"
    )
    with dialled(sockd.folder / "stats.sock", b"four") as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert receive_to_end(client).startswith(b"HTTP/1.1 200 OK")
    with dialled(sockd.folder / "ssh.sock", b"\0ssh") as client:
        assert receive(client, 4) == b"SSH-"
    with dialled(sockd.folder / "telnet.sock", b"\0tel") as client:
        assert receive(client, 1)


def test_every_answer_shows_a_client_by_one_name_which_selects_it(run_sockd: RunSockd) -> None:
    sockd = run_sockd(ini("multi"))
    with ExitStack() as stack:
        for name in NAMES:
            client = stack.enter_context(dialled(sockd.folder / "lab.sock", name))
            assert ask(client, b"hello") == b"hello"
        hosts = hosts_in(sockd, "")
        assert len(set(hosts)) == len(NAMES)
        rows = list(csv.DictReader(text_of(sockd, "/connections?format=csv").splitlines()))
        assert [row["peer_host"] for row in rows] == hosts
        table = text_of(sockd, "/connections?format=text")
        assert all(host in table for host in hosts)
        ports = json.loads(text_of(sockd, "/ports"))["ports"][0]["peers"]
        assert {peer["host"] for peer in ports} == set(hosts)
        for host in hosts:
            assert hosts_in(sockd, f"?peer={quote(host)}") == [host]
            sockd.wait_for(rf"Connected by {re.escape(host or 'a unix client')} on ")
    wait_until(lambda: sockd.service("s")["active"] == 0)
    assert hosts_in(sockd, "?state=closed") == hosts


def test_a_service_on_a_path_that_is_not_utf8_is_shown_as_clients_are(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n"))
    odd.mkdir()
    with Sockd(ini("multi"), odd) as sockd, dialled(odd / "lab.sock", b"") as client:
        assert ask(client, b"hello") == b"hello"
        [listener] = json.loads(text_of(sockd, "/services/s"))["listeners"]
        assert listener["host"] == rf"{tmp_path}/caf\xe9\x0a/lab.sock"
        assert r"caf\xe9\x0a" in text_of(sockd, "/ports?format=csv")
        assert sockd.stop() == 0
    assert not (odd / "lab.sock").exists()


def test_descriptors_that_a_client_passes_along_are_dropped_without_a_word(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(ini("multi"))
    with dialled(sockd.folder / "lab.sock", b"") as client:
        for _ in range(50):
            socket.send_fds(client, [b"x"], [client.fileno()] * 8)
            assert receive(client, 1) == b"x"
        assert descriptors(sockd) < 50
        assert not re.search("descriptor (received|passed)|ancillary", sockd.output)
