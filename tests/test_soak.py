"""Hours in minutes: all sorts of clients, faults, reloads and pauses, and the sums are exact.

Run it with ``pytest -m soak``; ``--soak-seconds`` says for how long, ten minutes if it is silent.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from signal import SIGCONT, SIGHUP, SIGSTOP

import pytest

from sockd.admin.connections import LOGIN_TIME
from tests.clients import LOOPBACK, connect, exchange, receive, reset, udp_client
from tests.conftest import RunSockd
from tests.harness import DEADLINE, Sockd, wait_until
from tests.vitals import Vitals, assert_recovered, unfinished, vitals

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

ENDPOINT = "tcp:0:interface=127.0.0.1"
LAB = f"""
[sockd]
history = 200
[service:lane]
kind = multi
listen = {ENDPOINT}
[service:upper]
kind = multi
reply = upper
listen = {ENDPOINT}
[service:one]
kind = tcp
backlog = 200
listen = {ENDPOINT}
[service:flows]
kind = udp
source_packets = 0
source_bytes = 0
total_packets = 0
total_bytes = 0
idle_timeout = 1s
listen = udp:0:interface=127.0.0.1
[service:faults]
kind = multi
max_connections = 50
idle_timeout = 5s
max_lifetime = 20s
listen = {ENDPOINT}
[stats]
listen = {ENDPOINT}
[admin]
ssh = {ENDPOINT}
"""
GUEST = f"[service:guest]\nkind = multi\nlisten = {ENDPOINT}\n"
EXACT = ("lane", "upper", "one", "flows")


@dataclass(frozen=True)
class Tally:
    """What clients of a service have counted, in connections and bytes."""

    connections: int = 0
    sent: int = 0
    received: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(
            self.connections + other.connections,
            self.sent + other.sent,
            self.received + other.received,
        )


class Soak:
    """Everything that happens to one daemon until the time is over.

    :param sockd: the daemon; its ports are looked up once.
    """

    def __init__(self, sockd: Sockd) -> None:
        self.sockd = sockd
        self.ports = {name: sockd.port(name) for name in (*EXACT, "faults")}
        self.stats_port = int(sockd.stats_url.rpartition(":")[2])
        self.ssh_port = sockd.ssh_port
        self.over = threading.Event()
        self.reloads = 0

    def talk(self, name: str, chance: random.Random) -> Tally:
        """Ask a stream service again and again, and hold it to every byte."""
        tally = Tally()
        while not self.over.is_set():
            with connect(self.ports[name]) as client:
                size = 0
                for _ in range(chance.randrange(6)):
                    data = chance.randbytes(chance.choice((1, 100, 5_000, 200_000)))
                    assert exchange(client, data) == (data.upper() if name == "upper" else data)
                    size += len(data)
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
            tally += Tally(1, size, size)
        return tally

    def ask(self, chance: random.Random) -> Tally:
        """Send datagrams, and hold the service to every byte; each socket is a flow."""
        tally = Tally()
        while not self.over.is_set():
            with udp_client() as client:
                for _ in range(20):
                    data = chance.randbytes(chance.randrange(1, 5_000))
                    client.sendto(data, (LOOPBACK, self.ports["flows"]))
                    assert client.recv(65_536) == data
                    tally += Tally(0, len(data), len(data))
        return tally

    def misbehave(self, chance: random.Random) -> Tally:
        """Be every sort of bad client in turn."""
        while not self.over.is_set():
            target = chance.choice((self.ports["faults"], self.stats_port, self.ssh_port))
            with suppress(OSError), connect(target) as client:  # it is cut off, as it should be
                client.settimeout(1)
                client.send(chance.randbytes(chance.choice((1, 1_000, 500_000))))
                match chance.randrange(4):
                    case 0:
                        reset(client)
                    case 1:
                        client.recv(1)
                    case 2:
                        self.over.wait(1)
                    case _:
                        client.shutdown(socket.SHUT_WR)
        return Tally()

    def watch(self, chance: random.Random) -> Tally:
        """Read the stats, whole or in part, and go, and come again."""
        paths = ("/stats", "/connections?state=all", "/ports", "/metrics", "/events", "/health")
        while not self.over.is_set():
            with connect(self.stats_port) as client:
                request = f"GET {chance.choice(paths)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                client.send(request.encode() * chance.choice((1, 3)))
                assert receive(client, 13) == b"HTTP/1.1 200 "
                if chance.random() < 0.5:
                    reset(client)
        return Tally()

    def reload(self, _: random.Random) -> Tally:
        """Change the file and have it read again: a service comes and goes, another changes."""
        while not self.over.wait(2):
            self.reloads += 1
            odd = self.reloads % 2
            text = LAB.replace("idle_timeout = 5s", f"idle_timeout = {4 + odd}s")
            self.sockd.file.write_text(text + GUEST * odd, encoding="utf-8")
            self.sockd.send_signal(SIGHUP)
            wait_until(lambda: self.sockd.output.count("Reloaded: kept") == self.reloads)
        return Tally()

    def pause(self, chance: random.Random) -> Tally:
        """Stop the process for a moment, as a debugger or a suspended machine would."""
        while not self.over.wait(chance.uniform(1, 3)):
            with stopped(self.sockd):
                self.over.wait(chance.uniform(0.05, 0.8))
        return Tally()


@contextmanager
def stopped(sockd: Sockd) -> Iterator[None]:
    """Stop the process, and let it go on in any case."""
    os.kill(sockd.pid, SIGSTOP)
    try:
        yield
    finally:
        os.kill(sockd.pid, SIGCONT)


def play(soak: Soak, seconds: float, seed: int) -> dict[str, Tally]:
    """Let everybody loose for so long, and return what the clients of each service counted."""
    cast: list[tuple[str, Callable[[random.Random], Tally]]] = [
        *((name, partial(soak.talk, name)) for name in EXACT[:3] * 2),
        ("flows", soak.ask),
        *(("", act) for act in (soak.misbehave, soak.misbehave, soak.watch, soak.watch)),
        ("", soak.reload),
        ("", soak.pause),
    ]
    soak.over.clear()
    sums = dict.fromkeys((*EXACT, ""), Tally())
    with ThreadPoolExecutor(len(cast)) as pool:
        acts = [
            (name, pool.submit(act, random.Random(f"{seed} {number}")))
            for number, (name, act) in enumerate(cast)
        ]
        wait([act for _, act in acts], seconds, FIRST_COMPLETED)
        soak.over.set()
        for name, act in acts:
            sums[name] += act.result()
    return sums


def counted(sockd: Sockd, name: str) -> Tally:
    service = sockd.service(name)
    connections = 0 if service["kind"] == "udp" else service["closed"]
    return Tally(connections, service["bytes_in"], service["bytes_out"])


def rest(sockd: Sockd) -> Vitals:
    """Wait until nobody is there any more, and return how the daemon is then."""
    wait_until(lambda: not unfinished(sockd), "no connection is open")
    return vitals(sockd)


def test_the_sums_are_exact_after_all_sorts_of_trouble(
    run_sockd: RunSockd, pytestconfig: pytest.Config
) -> None:
    seconds: float = pytestconfig.getoption("--soak-seconds")
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    soak = Soak(run_sockd(LAB))
    first = play(soak, seconds / 3, seed)
    warm = rest(soak.sockd)
    then = play(soak, seconds * 2 / 3, seed + 1)
    assert_recovered(soak.sockd, replace(warm, descriptors=warm.descriptors + 1))
    for name in EXACT:
        total = first[name] + then[name]
        print(name, total)
        assert total.received > 0
        assert counted(soak.sockd, name) == total
        assert soak.sockd.service(name)["refused"] == 0
    print(f"{soak.reloads} reloads", warm, vitals(soak.sockd))
    assert soak.reloads > 0


@pytest.mark.parametrize(
    ("way", "greeting"), [("ssh", b"SSH-2.0-slow\r\n\0\0\x10\0"), ("ssh", b""), ("telnet", b"")]
)
def test_a_stranger_who_drips_has_two_minutes(
    run_sockd: RunSockd, way: str, greeting: bytes
) -> None:
    sockd = run_sockd(f"{LAB}telnet = {ENDPOINT}\n")
    banner = r"admin: telnet \S+ (\d+)"
    port = sockd.ssh_port if way == "ssh" else int(sockd.wait_for(banner)[1])
    with connect(port) as client:
        begun = time.monotonic()
        client.settimeout(1.0)
        client.sendall(greeting)
        with suppress(ConnectionError):
            while not is_over(client) and time.monotonic() - begun < LOGIN_TIME + DEADLINE:
                client.sendall(b"\0")
    assert LOGIN_TIME - 5 < time.monotonic() - begun < LOGIN_TIME + 10
    assert connect(port).recv(1)


def is_over(client: socket.socket) -> bool:
    """Take what there is within a second; return whether it was the end."""
    try:
        return client.recv(4096) == b""
    except TimeoutError:
        return False


def test_a_hundred_thousand_connections_in_a_row(run_sockd: RunSockd) -> None:
    sockd = run_sockd(LAB)
    port = sockd.port("lane")

    def connections(count: int) -> None:
        for number in range(count):
            source = (f"127.{1 + number // 20_000}.0.1", 0)
            with socket.create_connection((LOOPBACK, port), DEADLINE, source) as client:
                client.sendall(b"hello")
                assert receive(client, 5) == b"hello"

    connections(1_000)
    before = rest(sockd)
    connections(100_000)
    assert_recovered(sockd, before)
    assert counted(sockd, "lane") == Tally(101_000, 505_000, 505_000)
