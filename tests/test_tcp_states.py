"""The states of live sockets: sockd reports the same as ``ss`` (iproute2)."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients import ask, connect, connected, receive, receive_to_end
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, wait_until
from tests.namespaces import Host

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
MULTI = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
SMALL_SEGMENT = 536
STUFFING = bytes(192 * 1024)
"""More than the kernel accepts for a peer with small buffers, and less than fills ours."""


@dataclass(frozen=True)
class Row:
    """A socket as ``ss -tin`` shows it."""

    state: str
    receive_queue: int
    send_queue: int
    info: dict[str, str]

    def view(self) -> dict[str, object]:
        """Return the expected report of sockd, with times in microseconds."""
        rtt, rttvar = (round(float(part) * 1000) for part in self.info["rtt"].split("/"))
        return {
            "state": {"ESTAB": "established"}.get(self.state, self.state.lower()),
            "rtt": rtt,
            "rttvar": rttvar,
            "retransmits": int(self.info.get("retrans", "0/0").split("/")[1]),
            "mss": int(self.info["mss"]),
            "cwnd": int(self.info["cwnd"]),
            "unacked": int(self.info.get("unacked", "0")),
        }


@dataclass(frozen=True)
class Eyes:
    """Two ways to inspect the daemon's sockets.

    :ivar run: runs a program on the daemon's host and returns its output.
    :ivar get: sends a request to the daemon's stats endpoint.
    """

    run: Callable[..., str]
    get: Callable[[str], Any]

    def listener(self, port: int) -> Row:
        """Return the listening socket of a port."""
        [row] = self._rows("-ltn", f"sport = :{port}")
        return row

    def server_end(self, port: int, client_port: int) -> Row | None:
        """Return the server's end of a connection; ``None`` if the kernel has none."""
        rows = self._rows("-atin", f"sport = :{port} and dport = :{client_port}")
        return rows[0] if rows else None

    def connection(self, client_port: int) -> Any:
        """Return the row of the daemon's own table; ``None`` if it has none."""
        rows = self.get("/connections?state=all")["connections"]
        return next((row for row in rows if row["peer"]["port"] == client_port), None)

    def view(self, client_port: int) -> dict[str, object] | None:
        """Return the daemon's view of a connection, with times in microseconds."""
        tcp = self.get(f"/connections/{self.connection(client_port)['id']}")["tcp"]
        times = {name: round(tcp[name] * 1_000_000) for name in ("rtt", "rttvar")} if tcp else {}
        return tcp and {**tcp, **times}

    def agree(self, port: int, client_port: int) -> dict[str, object]:
        """Return both views of a connection when they agree."""

        def same() -> dict[str, object] | None:
            row, view = self.server_end(port, client_port), self.view(client_port)
            told.append((row, view))
            return view if row is not None and row.view() == view else None

        told: list[object] = []
        try:
            return wait_until(same) or {}
        except AssertionError:
            print("the last looks:", *told[-3:], sep="\n")
            raise

    def _rows(self, options: str, wanted: str) -> list[Row]:
        found = []
        for line in self.run("ss", "-HO", options, wanted).splitlines():
            state, receive_queue, send_queue, _, _, *words = line.split()
            info = dict(word.split(":", 1) for word in words if ":" in word)
            found.append(Row(state, int(receive_queue), int(send_queue), info))
        return found


@pytest.fixture
def eyes_on(run_sockd: RunSockd, tool: ToolFinder) -> Callable[[str], tuple[Eyes, int]]:
    """Start a daemon; return the ways to inspect it, and the port of its service ``multi``."""
    tool("ss", "iproute2")

    def run(*words: str) -> str:
        done = subprocess.run(
            words, check=True, capture_output=True, encoding="utf-8", timeout=DEADLINE
        )
        return done.stdout

    def start(ini: str) -> tuple[Eyes, int]:
        sockd = run_sockd(ini + STATS)
        return Eyes(run, sockd.get), sockd.port("multi")

    return start


EyesOn = Callable[[str], tuple[Eyes, int]]


def test_bind_comes_before_listen_and_the_listener_is_what_ss_shows(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    """Use the log: the state between the two calls cannot be observed from outside."""
    tool("ss", "iproute2")
    sockd = run_sockd(MULTI + "backlog = 7\n" + STATS)
    port = sockd.port("multi")
    sockd.wait_for(rf"Bind tcp 127\.0\.0\.1:{port} .*\n.*Listen on 127\.0\.0\.1:{port}, backlog 7 ")
    said = subprocess.run(
        ["ss", "-ltnH", f"sport = :{port}"], check=True, capture_output=True, encoding="utf-8"
    )
    state, waiting, backlog, local, *_ = said.stdout.split()
    [listener] = sockd.service("multi")["listeners"]
    assert (state, local) == ("LISTEN", f"127.0.0.1:{port}")
    assert (int(waiting), int(backlog)) == (listener["waiting"], listener["backlog"]) == (0, 7)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_queued_clients_are_the_receive_queue_of_the_listener(eyes_on: EyesOn, host: str) -> None:
    one_at_a_time = MULTI.replace("kind = multi", "kind = tcp")
    eyes, port = eyes_on(one_at_a_time.replace("127.0.0.1", host.replace(":", r"\:")))

    def queues() -> tuple[int, int]:
        [listener] = eyes.get("/services/multi")["listeners"]
        return eyes.listener(port).receive_queue, listener["waiting"]

    with connected(port, 4, host) as clients:
        assert ask(clients[0], b"one") == b"one"
        wait_until(lambda: queues() == (3, 3))
        for client in clients[1:]:
            number = client.getsockname()[1]
            queued = eyes.server_end(port, number)
            assert queued is not None
            assert queued.state == "ESTAB"
            assert eyes.connection(number) is None
        clients[0].close()
        wait_until(lambda: queues() == (2, 2))
    wait_until(lambda: queues() == (0, 0))


def small_client(port: int) -> socket.socket:
    """Return a connection whose client reads slowly."""
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(DEADLINE)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
    client.connect(("127.0.0.1", port))
    return client


def test_established_is_the_same_in_every_number(eyes_on: EyesOn) -> None:
    eyes, port = eyes_on(MULTI)
    with small_client(port) as small, connect(port) as large:
        views = []
        for client in (small, large):
            assert ask(client, b"hello") == b"hello"
            views.append(eyes.agree(port, client.getsockname()[1]))
    for view in views:
        assert (view["state"], view["unacked"], view["retransmits"]) == ("established", 0, 0)
    segments: list[Any] = [view["mss"] for view in views]
    assert SMALL_SEGMENT - 12 <= segments[0] <= SMALL_SEGMENT < segments[1]


def test_close_wait_lasts_until_the_client_has_read_what_was_said(eyes_on: EyesOn) -> None:
    eyes, port = eyes_on(MULTI)
    with small_client(port) as client:
        number = client.getsockname()[1]
        client.sendall(STUFFING)
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: eyes.agree(port, number)["state"] == "close-wait")
        end = eyes.server_end(port, number)
        assert end is not None
        assert end.state == "CLOSE-WAIT"
        assert end.send_queue > 0
        assert eyes.connection(number)["state"] == "open"
        assert receive_to_end(client) == STUFFING
        closed = wait_until(lambda: (r := eyes.connection(number))["state"] == "closed" and r)
    assert (closed["reason"], closed["tcp"]) == ("eof", None)
    wait_until(lambda: eyes.server_end(port, number) is None)


def test_fin_wait_lasts_until_the_client_that_has_its_last_reply_goes(eyes_on: EyesOn) -> None:
    """Tolerate a missed sample: the state lasts one second at most."""
    eyes, port = eyes_on(MULTI + "replies = 1\n")

    def seen() -> int:
        with connect(port) as client:
            assert ask(client, b"last") == b"last"
            assert receive(client, 1) == b""
            number: int = client.getsockname()[1]
            while (view := eyes.view(number)) is not None:
                end = eyes.server_end(port, number)
                if end and (view["state"], end.state) == ("fin-wait-2", "FIN-WAIT-2"):
                    return number
        return 0

    number = wait_until(seen)
    closed = wait_until(lambda: (r := eyes.connection(number))["state"] == "closed" and r)
    assert (closed["reason"], closed["tcp"]) == ("replies", None)
    end = eyes.server_end(port, number)
    assert end is None or end.state == "TIME-WAIT"


def test_closed_is_gone_from_ss_and_remembered_in_the_table(eyes_on: EyesOn) -> None:
    eyes, port = eyes_on(MULTI)
    with connect(port) as client:
        number = client.getsockname()[1]
        assert ask(client, b"hello") == b"hello"
        assert eyes.agree(port, number)["state"] == "established"
    closed = wait_until(lambda: (r := eyes.connection(number))["state"] == "closed" and r)
    assert (closed["tcp"], closed["reason"]) == (None, "eof")
    wait_until(lambda: eyes.server_end(port, number) is None)


@pytest.mark.network
def test_what_the_client_has_not_acknowledged_is_counted_and_sent_again(
    run_sockd: RunSockd, wire: tuple[Host, Host], tool: ToolFinder
) -> None:
    for name, package in (("ss", "iproute2"), ("nc", "netcat-openbsd"), ("curl", "")):
        tool(name, package)
    server, client = wire
    ini = MULTI.replace("127.0.0.1", server.ipv4) + STATS
    sockd = run_sockd(ini, command=server.command(TWISTD))
    eyes = Eyes(server.run, lambda path: server.get(sockd.stats_url + path))
    port = sockd.port("multi")
    with client.start("nc", server.ipv4, str(port)) as netcat:
        netcat.type("arrives")
        assert netcat.line() == "arrives"
        number = eyes.get("/connections")["connections"][0]["peer"]["port"]
        assert eyes.agree(port, number)["unacked"] == 0
        lead_astray(server, client)
        netcat.type("is lost")
        wait_until(lambda: eyes.agree(port, number)["retransmits"])
        view = eyes.agree(port, number)
        assert (view["state"], view["unacked"]) == ("established", 1)
        server.run("ip", "neighbour", "del", client.ipv4, "dev", "wire")
        assert netcat.line() == "is lost"
        wait_until(lambda: eyes.agree(port, number)["unacked"] == 0)


def lead_astray(host: Host, other: Host) -> None:
    """Send a host's packets for another one to an unused MAC address; nothing else is lost."""
    nobody = ("lladdr", "02:00:00:00:00:ff", "dev", "wire", "nud", "permanent")
    host.run("ip", "neighbour", "replace", other.ipv4, *nobody)
