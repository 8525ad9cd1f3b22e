"""The log lines of a socket's life, from a real daemon."""

from __future__ import annotations

import re
import socket

from tests.clients import ask, connect, connected, udp_client
from tests.conftest import RunSockd

LAB = """
[sockd]
name = lab
[service:simple-tcp]
kind = tcp
listen = tcp:0:interface=127.0.0.1
[service:simple-udp]
kind = udp
listen = udp:0:interface=127.0.0.1
[service:six]
kind = multi
listen = tcp:0:interface=\\:\\:1
"""


def test_the_life_of_a_socket_can_be_read_from_the_log(run_sockd: RunSockd) -> None:
    sockd = run_sockd(LAB)
    port = sockd.port("simple-tcp")
    sockd.wait_for(rf"Bind tcp 127\.0\.0\.1:{port} \(simple-tcp\)")
    sockd.wait_for(rf"Listen on 127\.0\.0\.1:{port}, backlog 50 \(simple-tcp\)")
    with connect(port) as client:
        ends = rf"127\.0\.0\.1:{client.getsockname()[1]} on 127\.0\.0\.1:{port}"
        assert ask(client, b"hello") == b"hello"
        sockd.wait_for(rf"Connected by {ends} \(simple-tcp #1\)$")
    sockd.wait_for(rf"Closed {ends}: eof, 5 bytes in, 5 out \(simple-tcp #1\)$")


def test_a_unix_client_writes_no_lines_by_its_name(run_sockd: RunSockd) -> None:
    sockd = run_sockd("[service:s]\nkind = multi\nlisten = unix:lab.sock\n")
    with socket.socket(socket.AF_UNIX) as client:
        client.bind("\0lab\x1b[2J\nBind \udcff")
        client.connect(str(sockd.folder / "lab.sock"))
        sockd.wait_for(r"Connected by \\x00lab\\x1b\[2J\\x0aBind \\xff on .* \(s #1\)$")


def test_datagrams_have_a_bind_and_a_first_but_no_listen(run_sockd: RunSockd) -> None:
    sockd = run_sockd(LAB)
    port = sockd.port("simple-udp")
    with udp_client() as client:
        client.sendto(b"hello", ("127.0.0.1", port))
        assert client.recv(100) == b"hello"
        peer = client.getsockname()[1]
    sockd.wait_for(rf"First datagram from 127\.0\.0\.1:{peer} on 127\.0\.0\.1:{port}")
    assert not re.search(r"Listen .*simple-udp", sockd.output)


def test_the_first_two_connections_of_a_port_say_what_stays_and_what_changes(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(LAB)
    port = sockd.port("six")
    with connected(port, 3, "::1") as clients:
        assert all(ask(client, b"x") == b"x" for client in clients)
        first = clients[0].getsockname()[1]
        sockd.wait_for(r"Connected by .* #3\)$")
    sockd.wait_for(rf"Ports: one connection: the server's port is {port}, the client's is {first}")
    sockd.wait_for(
        "Ports: the server's port is the same for all 2 connections;"
        " the 2 clients have 2 different ports"
    )
    assert sockd.output.count("Ports: ") == 2


def test_the_banner_has_lines_to_copy(run_sockd: RunSockd) -> None:
    sockd = run_sockd(
        LAB
        + "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
        + "[admin]\nssh = tcp:0:interface=127.0.0.1\n"
    )
    sockd.wait_for(rf"simple-tcp  nc 127\.0\.0\.1 {sockd.port('simple-tcp')}$")
    sockd.wait_for(rf"simple-udp  nc -u 127\.0\.0\.1 {sockd.port('simple-udp')}$")
    sockd.wait_for(rf"six         nc ::1 {sockd.port('six')}$")
    sockd.wait_for(r"stats: curl http://127\.0\.0\.1:\d+/ports$")
    sockd.wait_for(r"admin: ssh -p \d+ admin@127\.0\.0\.1$")
    sockd.wait_for(r"the first password is in \S+/first-password until it is used$")


def test_what_a_peer_sends_never_reaches_the_log(run_sockd: RunSockd) -> None:
    sockd = run_sockd(LAB)
    with connect(sockd.port("simple-tcp")) as client:
        assert ask(client, b"\x1b[2Jpwned {0}\n") == b"\x1b[2Jpwned {0}\n"
    sockd.wait_for("Closed")
    assert "\x1b" not in sockd.output
    assert "pwned" not in sockd.output
