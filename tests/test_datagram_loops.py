"""Two echo services on two hosts, connected by one datagram with a forged source address."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.conftest import RunSockd
from tests.harness import TWISTD, Sockd, wait_until
from tests.namespaces import Host

ECHO = """[service:echo]
kind = udp
listen = udp:{port}:interface=0.0.0.0
{more}
[stats]
"""
BURST = 200

FORGE = """if True:
    import socket, struct, sys
    source, source_port, target, target_port = sys.argv[1:]
    data = b"around and around"
    udp = struct.pack("!HHHH", int(source_port), int(target_port), 8 + len(data), 0)
    length = 20 + len(udp) + len(data)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP, 0,
        socket.inet_aton(source), socket.inet_aton(target))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(ip + udp + data, (target, 0))
"""
"""A program that sends one datagram with a forged source address (ip(7), IP_HDRINCL)."""

BROADCAST = """if True:
    import socket, sys
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.settimeout(1)
        for target in sys.argv[2:]:
            client.sendto(b"anybody?", (target, int(sys.argv[1])))
        try:
            print(client.recv(100))
        except TimeoutError:
            print("nobody")
"""

pytestmark = pytest.mark.network


class Pair:
    """A daemon on each of two hosts, and a third host that can forge source addresses."""

    def __init__(
        self, run: RunSockd, hosts: tuple[Host, Host], ports: tuple[int, int], more: str = ""
    ) -> None:
        self._hosts = hosts
        self._ports = ports
        self._daemons = tuple(
            run(ECHO.format(port=port, more=more), command=host.command(TWISTD))
            for host, port in zip(hosts, ports, strict=True)
        )

    def join(self) -> None:
        """Send the second host a datagram that seems to come from the first one."""
        first, second = self._hosts
        ends = (first.ipv4, str(self._ports[0]), second.ipv4, str(self._ports[1]))
        first.run(sys.executable, "-c", FORGE, *ends)

    def services(self) -> list[Any]:
        """Return the services as the stats endpoints report them."""
        return [
            host.get(f"{daemon.stats_url}/services/echo")
            for host, daemon in zip(self._hosts, self._daemons, strict=True)
        ]

    def quiet(self) -> list[Any]:
        """Return the services when their counters no longer change."""
        return wait_until(lambda: now if (now := self.services()) == self.services() else [])


def totals(services: list[Any], name: str) -> int:
    return sum(service[name] for service in services)


@pytest.mark.parametrize("ports", [(65431, 65431), (40007, 7)])
def test_a_loop_of_two_services_dies_at_once(
    run_sockd: RunSockd, wire: tuple[Host, Host], ports: tuple[int, int]
) -> None:
    pair = Pair(run_sockd, wire, ports)
    pair.join()
    wait_until(lambda: totals(pair.services(), "refused"))
    services = pair.quiet()
    assert totals(services, "writes") <= 1
    assert totals(services, "refused") == 1


def test_a_loop_of_strangers_ends_within_its_budget(
    run_sockd: RunSockd, wire: tuple[Host, Host]
) -> None:
    pair = Pair(run_sockd, wire, (40001, 40002), f"source_packets = {BURST}/h")
    pair.join()
    wait_until(lambda: totals(pair.services(), "refused"))
    services = pair.quiet()
    assert totals(services, "refused") == 1
    assert 2 * BURST <= totals(services, "writes") <= 2 * BURST + 2


def test_without_the_guards_and_the_budgets_it_goes_on_and_on(
    run_sockd: RunSockd, wire: tuple[Host, Host]
) -> None:
    off = "unguarded = own_port\nsource_packets = 0\nsource_bytes = 0\ntotal_packets = 0"
    pair = Pair(run_sockd, wire, (65431, 65431), off)
    pair.join()
    wait_until(lambda: totals(pair.services(), "writes") > 20 * BURST)
    assert totals(pair.services(), "refused") == 0


@pytest.mark.parametrize("interface", ["0.0.0.0", r"\:\:"])
def test_what_is_sent_to_many_has_no_answer(
    run_sockd: RunSockd, wire: tuple[Host, Host], interface: str
) -> None:
    server, client = wire
    server.run("ip", "address", "add", "192.0.2.3/24", "broadcast", "192.0.2.255", "dev", "wire")
    ini = ECHO.format(port=40001, more="").replace("0.0.0.0", interface)
    sockd = run_sockd(ini, command=server.command(TWISTD))
    client.run("ip", "address", "add", "192.0.2.4/24", "broadcast", "192.0.2.255", "dev", "wire")
    said = client.run(sys.executable, "-c", BROADCAST, "40001", "192.0.2.255")
    assert said == "nobody\n"
    assert refusals(server, sockd) == {"broadcast": 1}


def test_broadcast_is_answered_from_an_address_of_this_host_if_that_is_wanted(
    run_sockd: RunSockd, wire: tuple[Host, Host]
) -> None:
    server, client = wire
    ini = ECHO.format(port=40001, more="unguarded = broadcast")
    sockd = run_sockd(ini, command=server.command(TWISTD))
    client.run("ip", "route", "add", "255.255.255.255", "dev", "wire")
    said = client.run(sys.executable, "-c", BROADCAST, "40001", "255.255.255.255")
    assert said == "b'anybody?'\n"
    assert refusals(server, sockd) == {}


def refusals(host: Host, sockd: Sockd) -> Any:
    return host.get(f"{sockd.stats_url}/services/echo")["refusals"]
