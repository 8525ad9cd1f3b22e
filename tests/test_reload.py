"""Reloads of a real daemon: no client is disconnected, and errors change nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.certificates import TLSFiles
from tests.clients import LOOPBACK, ask, connect, receive, receive_to_end, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, Sockd, run_twistd, wait_until
from tests.paths import has_io_uring
from tests.vitals import held

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
TRANSFERS = 500
RELOADS = 50


@contextmanager
def free_ports(count: int, sort: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[list[int]]:
    """Give port numbers that nobody has; they are free from the end of the block on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(type=sort)) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        yield [one.getsockname()[1] for one in sockets]


def ports(count: int, sort: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    with free_ports(count, sort) as numbers:
        return numbers


def service(name: str, port: int, kind: str = "multi", **options: object) -> str:
    """Return a section, without a budget for datagrams."""
    word = "udp" if kind == "udp" else "tcp"
    if kind == "udp":
        options = {"source_packets": 0, "total_packets": 0} | options
    lines = [f"[service:{name}]", f"kind = {kind}", f"listen = {word}:{port}:interface={LOOPBACK}"]
    lines += [f"{option} = {value}" for option, value in options.items()]
    return "\n".join([*lines, ""])


def reload(sockd: Sockd, ini: str, last: str = "Reloaded: kept") -> str:
    """Change the file, ask for a reload, and return what the log says of it.

    :param last: what the last line says, if there is more than one.
    """
    before = len(sockd.output)
    draft = sockd.file.with_suffix(".new")
    draft.write_text(ini, encoding="utf-8")
    draft.replace(sockd.file)
    sockd.send_signal(signal.SIGHUP)
    wait_until(lambda: last in said(sockd, before) or unchanged(sockd, before))
    return said(sockd, before)


def said(sockd: Sockd, since: int) -> str:
    return sockd.output[since:].rpartition("\n")[0]


def unchanged(sockd: Sockd, since: int) -> bool:
    return "Nothing was changed" in said(sockd, since)


class Transfers:
    """Clients that go on sending and comparing until they are told to finish."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()
        self.sent: Counter[str] = Counter()
        self.are_live = asyncio.Event()
        self._live = 0

    async def run(self, name: str, port: int, seed: int) -> None:
        """Send over one connection, and compare every byte that comes back."""
        chance = random.Random(seed)
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        self._live += 1
        if self._live == TRANSFERS:
            self.are_live.set()
        while not self.finish.is_set():
            data = chance.randbytes(chance.randrange(1, 8192))
            writer.write(data)
            async with asyncio.timeout(DEADLINE):
                assert await reader.readexactly(len(data)) == data
            self.sent[name] += len(data)
            await asyncio.sleep(0.2)
        writer.write_eof()
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() == b""
        writer.close()

    async def visit(self, port: int) -> int:
        """Come and go, one connection after the other; return how many there were."""
        count = 0
        while not self.finish.is_set():
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
            count += 1
        return count


def datagrams_until(finish: asyncio.Event, port: int) -> int:
    """Ask over UDP, one datagram at a time; return how many were answered, which all must be."""
    count = 0
    with udp_client() as client:
        while not finish.is_set():
            data = str(count).encode()
            client.sendto(data, (LOOPBACK, port))
            assert client.recv(100) == data
            count += 1
    return count


def test_500_transfers_lose_no_byte_in_50_reloads(run_sockd: RunSockd) -> None:
    stay, one, two, odd = ports(4)
    udp_one, udp_two = ports(2, socket.SOCK_DGRAM)
    head = f"[sockd]\ndrain = 1h\n{STATS}"
    first = (
        f"{head}{service('stay', stay, max_connections=700)}"
        f"{service('left', one)}{service('right', two)}{service('odd', odd, when_full='wait')}"
        f"{service('udp-left', udp_one, 'udp')}{service('udp-right', udp_two, 'udp')}"
    )
    other = (
        f"{head}{service('stay', stay, max_connections=900, idle_timeout='1h')}"
        f"{service('even', odd)}{service('left', two)}{service('right', one)}"
        f"{service('udp-left', udp_two, 'udp')}{service('udp-right', udp_one, 'udp')}"
    )
    sockd = run_sockd(first)

    async def play() -> tuple[Transfers, list[int]]:
        transfers = Transfers()
        where = [("stay", stay), ("left", one), ("right", two), ("odd", odd)]
        tasks = [
            asyncio.create_task(transfers.run(*where[number % 4], seed=number))
            for number in range(TRANSFERS)
        ]
        visits = [asyncio.create_task(transfers.visit(port)) for port in (stay, one, two, odd)]
        asked = asyncio.create_task(asyncio.to_thread(datagrams_until, transfers.finish, udp_one))
        try:
            async with asyncio.timeout(4 * DEADLINE):
                await transfers.are_live.wait()
                for number in range(1, RELOADS + 1):
                    await asyncio.to_thread(reload, sockd, other if number % 2 else first)
        finally:
            transfers.finish.set()
        await asyncio.gather(*tasks)
        return transfers, [*await asyncio.gather(*visits), await asked]

    transfers, visitors = asyncio.run(play())
    assert sockd.output.count("Reloaded: kept") == RELOADS
    assert min(visitors) > 10, visitors
    wait_until(lambda: sockd.get("/stats")["totals"]["active"] <= 2)  # flows take their time
    services = {one["name"]: one for one in sockd.get("/services")["services"]}
    assert services.keys() == {"stay", "left", "right", "odd", "udp-left", "udp-right"}
    assert services["stay"]["bytes_in"] == transfers.sent["stay"] + 5 * visitors[0]
    assert services["stay"]["errors"] == 0
    assert "reset" not in sockd.output


def test_a_wrong_file_changes_nothing_and_says_why(run_sockd: RunSockd) -> None:
    ini = service("multi", 0) + STATS
    sockd = run_sockd(ini)
    with connect(sockd.port("multi")) as client:
        log = reload(sockd, ini.replace("kind = multi", "kind = mutli"))
        assert f"{sockd.file}:2: [service:multi] kind: unknown kind 'mutli' (did you" in log
        assert ask(client, b"hello") == b"hello"
    assert "Reloaded" not in sockd.output
    assert sockd.service("multi")["state"] == "listening"


def test_when_a_port_cannot_be_had_everything_stays_as_it_was(run_sockd: RunSockd) -> None:
    old = service("first", 0) + service("second", 0)
    sockd = run_sockd(old + STATS)
    before = sockd.get("/services")
    [spare] = ports(1)
    with free_ports(1) as [taken], connect(sockd.port("second")) as client:
        log = reload(
            sockd,
            service("new", spare) + service("first", taken) + service("udp", 0, "udp") + STATS,
        )
        assert f"listen: tcp:{taken}:interface=127.0.0.1 cannot be bound: Address already" in log
        assert "[service:first]" in log
        assert ask(client, b"hello") == b"hello"
    with pytest.raises(ConnectionRefusedError):
        connect(spare)
    wait_until(lambda: sockd.get("/stats")["totals"]["active"] == 0)
    with pytest.raises(HTTPError, match="400"):
        sockd.get("/connections?service=new")
    after = sockd.get("/services")
    assert [one["listeners"] for one in after["services"]] == [
        one["listeners"] for one in before["services"]
    ]
    log = reload(sockd, service("new", spare) + service("first", taken) + STATS)
    assert "Reloaded: kept 0, changed first, added new, removed second" in log
    assert f"new starting on {spare}" in log
    assert sockd.get("/connections?service=second")["connections"] == []
    assert ask(connect(taken), b"hello") == b"hello"


def test_new_clients_come_in_by_the_new_limits_and_old_ones_stay_with_theirs(
    run_sockd: RunSockd,
) -> None:
    ini = service("multi", 0, max_connections=1) + STATS
    sockd = run_sockd(ini)
    port = sockd.port("multi")
    with connect(port) as first:
        assert ask(first, b"one") == b"one"
        with connect(port) as refused:
            assert receive_to_end(refused) == b""
        reload(sockd, service("multi", 0, max_connections=2, reply="upper", replies=1) + STATS)
        with connect(port) as second:
            second.sendall(b"two")
            assert receive_to_end(second) == b"TWO"
        assert ask(first, b"three") == b"three"
        assert ask(first, b"four") == b"four"
    shown = sockd.service("multi")
    assert (shown["reply"], shown["refused"], shown["opened"]) == ("upper", 1, 2)
    assert sockd.output.count("Bind tcp") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_flow_stays_what_it_is_while_the_reply_changes(run_sockd: RunSockd, host: str) -> None:
    def configuration(reply: str) -> str:
        endpoint = f"udp:0:interface={host.replace(':', chr(92) + ':')}"
        return f"[service:udp]\nkind = udp\nlisten = {endpoint}\nreply = {reply}\n{STATS}"

    sockd = run_sockd(configuration("echo"))
    with ExitStack() as stack:
        near = host if ":" in host else LOOPBACK
        one, two, three = (stack.enter_context(udp_client(near)) for _ in range(3))
        for client in (one, two, three):
            client.connect((near, sockd.port("udp")))
        assert ask(one, b"one") == b"one"
        reload(sockd, configuration("upper"))
        assert (ask(one, b"one"), ask(two, b"two")) == (b"one", b"TWO")
        reload(sockd, configuration("echo"))
        assert [ask(client, b"one") for client in (one, two, three)] == [b"one", b"ONE", b"one"]
        flows = sockd.get("/connections")["connections"]
    assert [(flow["reads"], flow["writes"]) for flow in flows] == [(3, 3), (2, 2), (1, 1)]


def test_clients_in_the_accept_queue_are_served_by_the_new_owner_of_the_port(
    run_sockd: RunSockd,
) -> None:
    [port] = ports(1)
    sockd = run_sockd(service("one", port, "tcp") + STATS)
    with connect(port) as first, connect(port) as second, connect(port) as third:
        assert ask(first, b"first") == b"first"
        wait_until(lambda: sockd.service("one")["listeners"][0]["waiting"] == 2)
        second.sendall(b"second")
        ini = service("many", port, reply="upper") + STATS
        log = reload(sockd, ini, "moves from one to many")
        assert "added many, removed one" in log
        assert f"tcp:{port}:interface=127.0.0.1 moves from one to many" in log
        assert receive(second, 6) == b"SECOND"
        assert ask(third, b"third") == b"THIRD"
        assert ask(first, b"still first") == b"still first"
        assert sockd.service("one")["state"] == "stopped"
        assert sockd.service("one")["active"] == 1
    wait_until(lambda: [one["name"] for one in sockd.get("/services")["services"]] == ["many"])


def test_a_removed_service_drains_for_the_time_that_the_file_says(run_sockd: RunSockd) -> None:
    keep = service("keep", 0) + STATS
    sockd = run_sockd("[sockd]\ndrain = 200ms\n" + service("gone", 0) + keep)
    port = sockd.port("gone")
    with connect(port) as client:
        assert ask(client, b"hello") == b"hello"
        reload(sockd, keep)
        with pytest.raises(ConnectionRefusedError):
            connect(port)
        assert receive_to_end(client) == b""
    wait_until(lambda: [one["name"] for one in sockd.get("/services")["services"]] == ["keep"])
    [closed] = sockd.get("/connections?state=closed")["connections"]
    assert (closed["service"], closed["reason"]) == ("gone", "stop")


def test_connections_go_on_when_io_uring_is_switched_off_and_on(run_sockd: RunSockd) -> None:
    ini = service("s", 0) + STATS
    sockd = run_sockd(ini)
    with connect(sockd.port("s")) as client:
        assert ask(client, b"with") == b"with"
        usual = held(sockd.pid, "io_uring")
        assert (usual > 0) == has_io_uring()
        reload(sockd, "[sockd]\nio_uring = no\n" + ini)
        assert ask(client, b"without") == b"without"
        assert held(sockd.pid, "io_uring") == 0
        reload(sockd, ini)
        assert ask(client, b"again") == b"again"
        assert held(sockd.pid, "io_uring") == usual


def test_another_kind_takes_the_port_over_and_the_counters_go_on(run_sockd: RunSockd) -> None:
    [port] = ports(1)
    sockd = run_sockd(service("s", port, "tcp") + STATS)
    with connect(port) as first:
        assert ask(first, b"first") == b"first"
        assert "changed s" in reload(sockd, service("s", port, "multi") + STATS)
        with connect(port) as second:
            assert ask(second, b"second") == b"second"
            assert ask(first, b"first") == b"first"
            shown = sockd.service("s")
            assert (shown["kind"], shown["opened"], shown["bytes_in"]) == ("multi", 2, 16)
            [row] = sockd.get("/ports")["ports"]
            assert row["distinct_peer_ports"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_who_stays_with_a_service_that_was_replaced_is_shown_as_the_kernel_sees_it(
    run_sockd: RunSockd,
) -> None:
    [port] = ports(1)
    sockd = run_sockd(service("s", port) + STATS)
    with connect(port) as client:
        assert ask(client, b"hello") == b"hello"
        reload(sockd, service("s", 0, "udp") + STATS)
        [shown] = sockd.get("/connections")["connections"]
        assert shown["tcp"]["state"] == "established"


def test_a_longer_backlog_is_there_without_a_new_socket(run_sockd: RunSockd) -> None:
    sockd = run_sockd(service("one", 0, "tcp", backlog=1) + STATS)
    port = sockd.port("one")
    reload(sockd, service("one", 0, "tcp", backlog=7) + STATS)
    [listener] = sockd.service("one")["listeners"]
    assert (listener["port"], listener["backlog"]) == (port, 7)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connect(port))
        wait_until(lambda: sockd.service("one")["listeners"][0]["waiting"] == 7)


def test_sockets_of_every_sort_change_hands(
    run_sockd: RunSockd, tls_files: TLSFiles, tmp_path: Path
) -> None:
    [port] = ports(1)
    path = tmp_path / "lab.sock"
    tls = f"ssl:{port}:privateKey={tls_files.key}:certKey={tls_files.certificate}"
    listen = f"listen = {tls}:interface=127.0.0.1, unix:{path}\n"
    sockd = run_sockd(f"[service:old]\nkind = multi\n{listen}{STATS}")
    inode = path.stat().st_ino
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert ask(client, b"old") == b"old"
        reload(sockd, f"[service:new]\nkind = multi\nreply = upper\n{listen}{STATS}")
        assert ask(client, b"old") == b"old"
    assert path.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert ask(client, b"new") == b"NEW"
    with tls_files.client_context().wrap_socket(connect(port), server_hostname="localhost") as last:
        last.sendall(b"new")
        assert last.recv(3) == b"NEW"


def test_what_needs_a_restart_is_named_with_its_line(run_sockd: RunSockd) -> None:
    sockd = run_sockd(service("multi", 0) + STATS)
    url = sockd.stats_url
    moved = service("multi", 0) + STATS.replace("tcp:0", "tcp:1")
    log = reload(sockd, moved + "[admin]\n", "[admin]: changed")
    assert f"{sockd.file}:5: [stats] listen: changed, takes effect after a restart" in log
    assert f"{sockd.file}:6: [admin]: changed, takes effect after a restart" in log
    assert "listen: changed" in reload(sockd, moved, "listen: changed")
    assert sockd.stats_url == url
    assert sockd.get("/health") == {"status": "ok"}


def test_the_stats_endpoint_answers_to_the_names_that_the_file_has_now(
    run_sockd: RunSockd,
) -> None:
    ini = service("multi", 0) + STATS
    sockd = run_sockd(ini)
    host, _, port = sockd.stats_url.removeprefix("http://").partition(":")
    connection = HTTPConnection(host, int(port), timeout=DEADLINE)  # one that stays open

    def status(name: str) -> int:
        connection.request("GET", "/health", headers={"Host": name})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert (status("one.example"), status("two.example")) == (421, 421)
    assert "restart" not in reload(sockd, f"{ini}hosts = one.example\n")
    assert (status("one.example"), status("two.example")) == (200, 421)
    reload(sockd, f"{ini}hosts = two.example\n")
    assert (status("one.example"), status("two.example")) == (421, 200)
    connection.close()


def test_an_address_that_sockd_itself_has_names_the_way_out(run_sockd: RunSockd) -> None:
    [port] = ports(1)
    ini = service("multi", port) + STATS
    sockd = run_sockd(ini)
    log = reload(sockd, ini.replace(f":interface={LOOPBACK}\n[", "\n["))
    assert f"sockd has it as tcp:{port}:interface=127.0.0.1: reload once without it" in log
    assert ask(connect(port), b"hello") == b"hello"


def test_in_the_background_a_relative_file_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "lab.ini").write_text(service("multi", 0), encoding="utf-8")
    log = tmp_path / "sockd.log"
    done = run_twistd(
        *("--pidfile", "sockd.pid", "--logfile", "sockd.log", "--rundir", "/"),
        *("sockd", "-c", "lab.ini"),
        folder=tmp_path,
    )
    pidfile = next(file for file in (tmp_path / "sockd.pid", Path("/sockd.pid")) if file.exists())
    assert done.returncode == 0, done
    pid = int(pidfile.read_text(encoding="ascii"))
    try:
        wait_until(lambda: log.exists() and "[sockd] sockd " in log.read_text())
        (tmp_path / "lab.ini").write_text(service("other", 0), encoding="utf-8")
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: "Reloaded: kept 0, added other, removed multi" in log.read_text())
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pidfile.exists())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to drop")
def test_a_port_that_is_for_root_needs_a_restart_once_privileges_are_dropped(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    setpriv = tool("setpriv", "util-linux")
    command = (setpriv, "--bounding-set", "-net_bind_service", "--inh-caps", "-all", TWISTD)
    sockd = run_sockd(service("multi", 0), command=command)
    log = reload(sockd, service("multi", 0) + service("low", 1))
    assert "cannot be bound: Permission denied" in log
    assert "restart the daemon if --uid has dropped root since the start" in log


def test_a_plugins_service_that_cannot_change_says_so(run_sockd: RunSockd, tmp_path: Path) -> None:
    plugins = tmp_path / "path" / "sockd" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "stubborn.py").write_text(STUBBORN, encoding="utf-8")
    ini = service("s", 0, "stubborn") + STATS
    sockd = run_sockd(ini, environment={"PYTHONPATH": str(tmp_path / "path")})
    log = reload(sockd, service("s", 0, "stubborn", replies=1) + STATS)
    assert "[service:s]: the service 's' cannot change while it runs" in log
    assert "kept 1, added t" in reload(sockd, ini + service("t", 0, "stubborn"))
    assert "kept 1, removed t" in reload(sockd, ini)


STUBBORN = """
from zope.interface import implementer_only
from sockd.interfaces import INetworkService
from sockd.services.stream import StreamKind, StreamService

@implementer_only(INetworkService)
class Service(StreamService):
    pass

class Kind(StreamKind):
    def serve(self, spec, reply, context):
        return Service(spec, reply, context, 1)

kind = Kind("stubborn")
"""
