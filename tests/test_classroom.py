"""The class's own clients, unchanged, against ``config/classroom.ini``, unchanged.

Both have fixed ports: the daemon and its clients live on a host of the test's own.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.conftest import RunSockd, ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import TWISTD, wait_until
from tests.namespaces import Host, Program

CLIENTS = Path(__file__).parent / "classroom"
CLASSROOM = (REPOSITORY / "config" / "classroom.ini").read_text(encoding="utf-8")

pytestmark = [pytest.mark.dependencies, pytest.mark.network]


class Room:
    """A host on which the classroom's servers run."""

    def __init__(self, host: Host, stats: str) -> None:
        self._host = host
        self._stats = stats

    def start(self, name: str) -> AbstractContextManager[Program]:
        """Start a program; it is gone at the end."""
        return self._host.start(sys.executable, str(CLIENTS / f"{name}_client.py"))

    def run(self, name: str, typed: str = "") -> str:
        """Return what a program prints that is run to its end."""
        return self._host.run(sys.executable, str(CLIENTS / f"{name}_client.py"), given=typed)

    def active(self, service: str) -> int:
        """Return how many connections of a service are open."""
        active: int = self._host.get(f"{self._stats}/services/{service}")["active"]
        return active

    def closed(self) -> list[tuple[str, str]]:
        """Return the services of the connections that have ended, and why they have."""
        rows = self._host.get(f"{self._stats}/connections?state=closed")["connections"]
        return [(row["service"], row["reason"]) for row in rows]


@pytest.fixture
def room(run_sockd: RunSockd, wire: tuple[Host, Host], tool: ToolFinder) -> Room:
    tool("curl")
    host, _ = wire
    return Room(host, run_sockd(CLASSROOM, command=host.command(TWISTD)).stats_url)


def test_the_tcp_client_reads_its_words_back(room: Room) -> None:
    assert room.run("tcp") == "Received b'Hello, world'\n"
    wait_until(lambda: room.closed() == [("simple-tcp", "eof")])


def test_the_udp_client_reads_its_lines_stripped_and_in_upper_case(room: Room) -> None:
    with room.start("udp") as client:
        for line, answer in (("hello", "HELLO"), ("  two words\t", "TWO WORDS"), ("", "")):
            client.type(line)
            assert client.line() == answer
        assert client.rest() == ""
    assert room.active("simple-udp") == 1


def test_the_multi_client_reads_one_answer_and_then_the_end(room: Room) -> None:
    said = room.run("multi", "  hello \n")
    assert said == "Connected\nReceived b'HELLO'\nThe server has closed\n"
    wait_until(lambda: room.closed() == [("multi", "replies")])


def test_all_three_are_served_at_once(room: Room) -> None:
    with room.start("udp") as datagrams, room.start("multi") as one_of_many:
        datagrams.type("first")
        assert datagrams.line() == "FIRST"
        assert one_of_many.line() == "Connected"
        wait_until(lambda: (room.active("simple-udp"), room.active("multi")) == (1, 1))
        assert room.run("tcp") == "Received b'Hello, world'\n"
        one_of_many.type("second")
        assert one_of_many.line() == "Received b'SECOND'"
        datagrams.type("third")
        assert datagrams.line() == "THIRD"


def test_several_multi_clients_are_connected_at_once_and_answered_in_any_order(room: Room) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(room.start("multi")) for _ in range(5)]
        for client in clients:
            assert client.line() == "Connected"
        wait_until(lambda: room.active("multi") == 5)
        for number, client in reversed(list(enumerate(clients))):
            client.type(f"client {number}")
            assert client.rest() == f"Received b'CLIENT {number}'\nThe server has closed\n"
    wait_until(lambda: room.closed() == [("multi", "replies")] * 5)
