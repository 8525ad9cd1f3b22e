"""From a colleague's machine: ``config/remote.ini``, unchanged, on one of two real hosts."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunSockd, ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import DEADLINE, TWISTD, Sockd
from tests.namespaces import Host

REMOTE = (REPOSITORY / "config" / "remote.ini").read_text(encoding="utf-8")
SERVICES = {"simple-tcp": ("tcp", 65432), "simple-udp": ("udp", 65431), "multi": ("tcp", 65433)}
PRIVATE_PORTS = (8007, 2222)
CLOSED_PORT = 65430
SCAN_DEADLINE = 120.0
"""How long nmap may take for 65535 ports, in seconds; on an idle machine it takes two."""

ANYWHERE = "[service:multi]\nkind = multi\nlisten = tcp:65433:interface={}\n[stats]\n"

pytestmark = pytest.mark.network


@dataclass(frozen=True)
class Lab:
    """A daemon on one host, and the colleague's host."""

    sockd: Sockd
    server: Host
    client: Host

    def get(self, path: str) -> Any:
        """Return what the stats endpoint answers on the server's host."""
        return self.server.get(self.sockd.stats_url + path)


@pytest.fixture
def lab(run_sockd: RunSockd, wire: tuple[Host, Host], tool: ToolFinder) -> Lab:
    for name, package in (("curl", ""), ("nc", "netcat-openbsd"), ("nmap", "")):
        tool(name, package)
    server, client = wire
    return Lab(run_sockd(REMOTE, command=server.command(TWISTD)), server, client)


def invitations(sockd: Sockd) -> list[tuple[str, str]]:
    """Return each service that the banner names, with the command that it says to type."""
    sockd.wait_for("stats: curl ")
    return re.findall(r"\[sockd\] (\S+) +(nc .*)$", sockd.output, re.MULTILINE)


def answer(host: Host, command: str) -> str:
    """Return the line that comes back when somebody types a command and then hello."""
    with host.start(*command.split()) as program:
        program.type("hello")
        return program.line()


def address_of(host: Host, version: int) -> str:
    return host.ipv4 if version == 4 else host.ipv6


@pytest.mark.parametrize("version", [4, 6])
def test_a_colleague_is_answered_and_shown_with_the_real_address(lab: Lab, version: int) -> None:
    server, client = address_of(lab.server, version), address_of(lab.client, version)
    shown = client if version == 4 else f"[{client}]"
    for service, (transport, port) in SERVICES.items():
        udp = "-u " if transport == "udp" else ""
        assert answer(lab.client, f"nc {udp}{server} {port}") == "hello"
        [row] = lab.get(f"/connections?state=all&service={service}")["connections"]
        assert (row["transport"], row["peer"]["host"]) == (transport, client)
        assert row["local"] == {"host": server, "port": port}
        number = row["peer"]["port"]
        assert (
            row["display_filter"] == f"{transport}.port == {port} && {transport}.port == {number}"
        )
        lab.sockd.wait_for(rf" {re.escape(shown)}:{number} on .* \({service} #{row['id']}\)")


def test_what_the_banner_says_to_type_works_on_the_other_host(lab: Lab) -> None:
    hosts = (lab.server.ipv4, lab.server.ipv6)
    assert invitations(lab.sockd) == [
        (service, f"nc {'-u ' if transport == 'udp' else ''}{host} {port}")
        for service, (transport, port) in SERVICES.items()
        for host in hosts
    ]
    for _, command in invitations(lab.sockd):
        assert answer(lab.client, command) == "hello"


def test_the_banner_of_what_stays_private_names_loopback(lab: Lab) -> None:
    assert lab.sockd.stats_url == "http://127.0.0.1:8007"
    assert lab.sockd.ssh_port == 2222
    lab.sockd.wait_for(r"admin: ssh -p 2222 admin@127\.0\.0\.1$")


def open_ports(lab: Lab, *options: str) -> set[tuple[int, str]]:
    """Return the ports, with their protocols, that nmap on the client's host finds open."""
    said = lab.client.run("nmap", "-n", "-Pn", "-oG", "-", *options, deadline=SCAN_DEADLINE)
    assert "Status: Up" in said
    found = re.findall(r"(\d+)/open[^/]*/(tcp|udp)/", said)
    return {(int(port), transport) for port, transport in found}


@pytest.mark.parametrize("version", [4, 6])
def test_nmap_sees_the_ports_of_the_services_and_no_others(lab: Lab, version: int) -> None:
    family = ("-6",) if version == 6 else ()
    server = address_of(lab.server, version)
    streams = open_ports(lab, *family, "-sT", "-p-", "-T4", server)
    suspects = [CLOSED_PORT, *PRIVATE_PORTS, *(port for _, port in SERVICES.values())]
    few = ",".join(map(str, suspects))
    datagrams = open_ports(lab, *family, "-sU", f"-p{few}", server)
    assert streams | datagrams == {(port, transport) for transport, port in SERVICES.values()}


def test_stats_and_shell_can_be_reached_from_their_own_host_alone(lab: Lab) -> None:
    for port in PRIVATE_PORTS:
        assert try_to_connect(lab.server, "127.0.0.1", port) == 0
        for address in (lab.server.ipv4, lab.server.ipv6):
            assert try_to_connect(lab.server, address, port) == 1
            assert try_to_connect(lab.client, address, port) == 1


def try_to_connect(host: Host, address: str, port: int) -> int:
    """Return the exit status of netcat: 0 if somebody listens, 1 if not."""
    command = host.command("nc", "-n", "-z", "-w", "5", address, str(port))
    return subprocess.run(command, check=False, timeout=DEADLINE).returncode


@pytest.mark.parametrize(
    ("interface", "named"),
    [
        ("0.0.0.0", ["192.0.2.1"]),
        (r"\:\:", ["192.0.2.1", "2001:db8::1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("192.0.2.1", ["192.0.2.1"]),
    ],
)
def test_the_banner_names_the_addresses_at_which_a_service_is_found(
    run_sockd: RunSockd, wire: tuple[Host, Host], interface: str, named: list[str]
) -> None:
    sockd = run_sockd(ANYWHERE.format(interface), command=wire[0].command(TWISTD))
    assert invitations(sockd) == [("multi", f"nc {host} 65433") for host in named]


def test_where_double_colon_is_ipv6_alone_the_banner_promises_no_ipv4(
    run_sockd: RunSockd, wire: tuple[Host, Host]
) -> None:
    host, _ = wire
    turn_on(host, "ipv6.bindv6only")
    both = "\n  ".join(("", r"tcp:65433:interface=\:\:", "tcp:65433:interface=0.0.0.0"))
    ini = ANYWHERE.replace("tcp:65433:interface={}", both)
    sockd = run_sockd(ini, command=host.command(TWISTD))
    assert [command for _, command in invitations(sockd)] == [
        "nc 2001:db8::1 65433",
        "nc 192.0.2.1 65433",
    ]


def turn_on(host: Host, setting: str) -> None:
    """Set a sysctl of a host to 1 (sysctl(8) may not be installed)."""
    file = Path("/proc/sys/net", *setting.split("."))
    host.run("sh", "-c", f"echo 1 > {file}")


def test_without_a_network_the_banner_names_loopback(
    run_sockd: RunSockd, wire: tuple[Host, Host]
) -> None:
    host, _ = wire
    host.run("ip", "link", "set", "wire", "down")
    sockd = run_sockd(ANYWHERE.format("0.0.0.0"), command=host.command(TWISTD))
    assert invitations(sockd) == [("multi", "nc 127.0.0.1 65433")]
