"""The daemon's account of its connections agrees with Wireshark's tools."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

import pytest

from tests.clients import LOOPBACK, connect, receive_to_end, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import Sockd, wait_until
from tests.wireshark import End, Packet, Tshark, needs_dumpcap, payload_bytes

CLIENTS = 50
LAB = """
[service:many]
kind = multi
reply = upper
strip = yes
listen = tcp:0:interface=127.0.0.1
[service:datagrams]
kind = udp
reply = upper
strip = yes
listen = udp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
[capture]
directory = captures
start = yes
"""


def talk(lab: Sockd) -> None:
    """Let the clients say something each: all connect first, then all speak, then all leave."""
    many, datagrams = lab.port("many"), lab.port("datagrams")
    with ExitStack() as stack:
        streams = [stack.enter_context(connect(many)) for _ in range(CLIENTS)]
        flows = [stack.enter_context(udp_client()) for _ in range(CLIENTS)]
        for number, (stream, flow) in enumerate(zip(streams, flows, strict=True)):
            for _ in range(number % 3 + 1):
                flow.sendto(b" " * number + b"datagram", (LOOPBACK, datagrams))
                assert flow.recv(100) == b"DATAGRAM"
            stream.sendall(b"stream " * number + b" " * number)
            stream.shutdown(socket.SHUT_WR)
        for number, stream in enumerate(streams):
            assert len(receive_to_end(stream)) == max(0, 7 * number - 1)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tshark, list[Any]]:
    """Return the capture of a lab's whole life, and what its stats said last."""
    tool = ToolFinder()
    needs_dumpcap(tool)
    tshark = tool("tshark")
    folder = tmp_path_factory.mktemp("lab")
    with Sockd(LAB, folder) as lab:
        wait_until(lambda: lab.get("/capture")["state"] == "capturing")
        talk(lab)
        wait_until(lambda: lab.service("many")["active"] == 0)
        connections = lab.get("/connections?state=all")["connections"]
        lab.stop()
    (file,) = (folder / "captures").glob("*.pcapng")
    return Tshark(tshark, file), connections


def ends(connection: Any) -> tuple[End, End]:
    """Return the peer's end and the local one."""
    peer, local = connection["peer"], connection["local"]
    return (peer["host"], peer["port"]), (local["host"], local["port"])


def test_the_conversations_are_the_connections(evidence: tuple[Tshark, list[Any]]) -> None:
    tshark, connections = evidence
    for protocol in ("tcp", "udp"):
        said = {frozenset(ends(one)) for one in connections if one["transport"] == protocol}
        assert len(said) == CLIENTS
        assert tshark.conversations(protocol) == said


def test_the_bytes_agree_in_both_directions(evidence: tuple[Tshark, list[Any]]) -> None:
    tshark, connections = evidence
    passed = payload_bytes(tshark.packets())
    assert len(passed) == 2 * len(connections)
    for one in connections:
        peer, local = ends(one)
        assert passed[one["transport"], peer, local] == one["bytes_in"]
        assert passed[one["transport"], local, peer] == one["bytes_out"]
    assert sum(one["bytes_in"] > one["bytes_out"] > 0 for one in connections) > CLIENTS


def of_connection(packets: list[Packet], connection: Any) -> list[Packet]:
    both = {connection["transport"], *ends(connection)}
    return [one for one in packets if {one.protocol, one.source, one.target} == both]


def test_each_display_filter_selects_its_connection(evidence: tuple[Tshark, list[Any]]) -> None:
    """Of all filters at once: the number of frames and the sum of their numbers."""
    tshark, connections = evidence
    packets = tshark.packets()
    expected = []
    for one in connections:
        numbers = [packet.number for packet in of_connection(packets, one)]
        expected.append((len(numbers), sum(numbers)))
    assert tshark.frames([one["display_filter"] for one in connections]) == expected
    assert sum(count for count, _ in expected) == len(packets)


def test_a_display_filter_shows_a_connection_from_syn_to_fin(
    evidence: tuple[Tshark, list[Any]],
) -> None:
    """Of a few, packet by packet: each filter is a run of tshark."""
    tshark, connections = evidence
    packets = tshark.packets()
    streams = [one for one in connections if one["transport"] == "tcp"]
    for one in (streams[0], streams[25], streams[-1]):
        selected = tshark.packets(one["display_filter"])
        assert [packet.number for packet in selected] == [
            packet.number for packet in of_connection(packets, one)
        ]
        peer, local = ends(one)
        assert [packet.is_syn for packet in selected[:3]] == [True, True, False]
        assert [packet.source for packet in selected[:2]] == [peer, local]
        assert {packet.source for packet in selected if packet.is_fin} == {peer, local}
        assert selected[-1].is_fin or not selected[-1].payload


def test_no_payload_is_written_and_the_lengths_stay(
    evidence: tuple[Tshark, list[Any]],
) -> None:
    tshark, _ = evidence
    data = tshark.file.read_bytes()
    assert [word for word in (b"stream", b"STREAM", b"atagram", b"DATAGRAM") if word in data] == []
    packets = tshark.packets()
    assert any(one.payload for one in packets)
    for one in packets:
        assert one.captured == one.size - one.payload
        assert one.ip_length == one.size - 16


def test_every_connection_of_all_is_closed_or_a_flow(
    evidence: tuple[Tshark, list[Any]],
) -> None:
    _, connections = evidence
    states = {(one["transport"], one["state"]) for one in connections}
    assert states == {("tcp", "closed"), ("udp", "open")}


def test_it_writes_for_its_owner_alone(evidence: tuple[Tshark, list[Any]]) -> None:
    tshark, _ = evidence
    assert tshark.file.stat().st_mode & 0o777 == 0o600
    assert tshark.file.parent.stat().st_mode & 0o777 == 0o700


def test_whole_packets_are_written_where_that_is_asked_for(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    needs_dumpcap(tool)
    lab = run_sockd(LAB + "payload = yes\n")
    wait_until(lambda: lab.get("/capture")["state"] == "capturing")
    talk(lab)
    lab.stop()
    (file,) = (lab.folder / "captures").glob("*.pcapng")
    assert b"STREAM STREAM" in file.read_bytes()
    assert all(one.captured == one.size for one in Tshark(tool("tshark"), file).packets())
