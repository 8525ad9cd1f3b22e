"""The capture over HTTP and in the shell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockd.admin.commands.commands import Commands
from sockd.admin.prompt.console import Console
from sockd.errors import CaptureError, Problem, SourceLocation
from sockd.interfaces import ICapture, ILiveCapture
from sockd.testing import FakeDaemon
from tests.stats_client import Client, Endpoint, replies

PROBLEM = Problem(SourceLocation("lab.ini", 9, "capture"), "nothing works", "try again")


@implementer(ILiveCapture)
class FakeView:
    """A viewer's packets, as a test says."""

    def __init__(self) -> None:
        self.coming: list[bytes] = []
        self.more: Deferred[None] = Deferred()
        self.error: CaptureError | None = None
        self.closed = 0

    def slices(self) -> Iterator[bytes | Deferred[None]]:
        """Return what comes."""
        while True:
            if self.error is not None:
                raise self.error
            while self.coming:
                yield self.coming.pop(0)
            self.more = Deferred()
            yield self.more

    def close(self) -> None:
        """Count the ends."""
        self.closed += 1

    def bring(self, *slices: bytes) -> None:
        """Let something come."""
        self.coming += slices
        self.more.callback(None)


@implementer(ICapture)
class FakeCapture:
    """A capture of nothing."""

    is_live = True

    def __init__(self) -> None:
        self.view = FakeView()
        self.state = "stopped"
        self.error: str | None = None

    def status(self) -> Mapping[str, object]:
        """Return a little."""
        files = [{"name": "sockd-1.pcapng", "size": 7}]
        return {"state": self.state, "error": self.error, "files": files}

    def start(self) -> Deferred[None]:
        """Begin."""
        self.state = "capturing"
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """End."""
        self.state = "stopped"
        return succeed(None)

    def watch(self) -> FakeView:
        """Return the one view."""
        return self.view


class Lab:
    """A daemon that captures, its stats and its shell."""

    def __init__(self) -> None:
        self.capture = FakeCapture()
        self.daemon = FakeDaemon()
        self.daemon.capture = self.capture
        self.endpoint = Endpoint(self.daemon)
        self.said: list[str] = []
        self.complaints: list[str] = []
        console = Console(self.said.append, self.complaints.append)
        commands = Commands(self.daemon, console, lambda: 0.0)
        self.names = commands.namespace()

    def watch(self) -> Client:
        """Return a client that asked for the live packets."""
        client = self.endpoint.client()
        client.send(b"GET /capture.pcapng HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.turn()
        return client

    def turn(self) -> None:
        """Let everything be sent that can be."""
        for _ in range(5):
            self.endpoint.clock.advance(0)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_the_fakes_are_what_they_stand_for(lab: Lab) -> None:
    assert verifyObject(ICapture, lab.capture)
    assert verifyObject(ILiveCapture, lab.capture.view)


def test_the_status_is_shown(lab: Lab) -> None:
    assert lab.endpoint.get("/capture") == dict(lab.capture.status())


def test_packets_are_sent_as_they_come(lab: Lab) -> None:
    client = lab.watch()
    assert client.taken() == b""
    lab.capture.view.bring(b"one", b"two")
    lab.turn()
    (reply,) = replies(client.taken() + b"0\r\n\r\n")
    assert (reply.status, reply.body) == (200, b"onetwo")
    assert reply.headers["content-type"] == "application/x-pcapng"
    lab.turn()
    assert client.taken() == b""
    lab.capture.view.bring(b"three")
    lab.turn()
    assert client.taken() == b"5\r\nthree\r\n"


def test_an_error_before_the_first_packet_is_told(lab: Lab) -> None:
    client = lab.watch()
    lab.capture.view.error = CaptureError([PROBLEM])
    lab.capture.view.bring()
    lab.turn()
    (reply,) = replies(client.taken())
    assert reply.status == 503
    assert reply.json == {"error": "lab.ini:9: [capture]: nothing works (try again)"}


def test_an_error_after_that_breaks_the_answer_off(lab: Lab) -> None:
    client = lab.watch()
    lab.capture.view.bring(b"one")
    lab.turn()
    lab.capture.view.error = CaptureError([PROBLEM])
    lab.capture.view.bring()
    lab.turn()
    assert client.transport.aborted
    assert lab.capture.view.closed == 1


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_client_that_leaves_ends_the_capture(lab: Lab, is_begun: bool) -> None:
    client = lab.watch()
    if is_begun:
        lab.capture.view.bring(b"one")
        lab.turn()
    client.leave()
    assert lab.capture.view.closed == 1
    lab.capture.view.bring(b"two")
    lab.turn()
    assert lab.capture.view.closed == 1


def test_a_client_that_closes_its_side_has_seen_enough(lab: Lab) -> None:
    client = lab.watch()
    lab.capture.view.bring(b"one")
    lab.turn()
    client.channel.readConnectionLost()
    assert client.transport.aborted


def test_a_client_that_does_not_read_gets_nothing_more(lab: Lab) -> None:
    client = lab.watch()
    lab.capture.view.bring(b"one")
    lab.turn()
    client.producer.pauseProducing()
    lab.capture.view.bring(b"two")
    lab.turn()
    assert lab.capture.view.coming == [b"two"]
    client.producer.resumeProducing()
    lab.turn()
    assert lab.capture.view.coming == []


def test_a_head_of_the_live_packets_begins_nothing(lab: Lab) -> None:
    reply = lab.endpoint.ask("/capture.pcapng", "HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert lab.capture.view.closed == 1


def test_the_shell_shows_begins_and_ends_it(lab: Lab) -> None:
    capture = lab.names["capture"]
    for statement, state in (("", "stopped"), (".start", "capturing"), (".stop", "stopped")):
        lab.said.clear()
        eval(f"capture{statement}()", {"capture": capture})
        assert lab.said == [f"state  {state}\n", "  sockd-1.pcapng  7\n"]
    assert "capture.start()" in repr(capture)
    lab.capture.error = str(PROBLEM)
    eval("capture()", {"capture": capture})
    assert lab.complaints == [f"{PROBLEM}\n"]


def test_without_the_section_the_shell_says_so(lab: Lab) -> None:
    lab.daemon.capture = None
    for statement in ("capture()", "capture.start()", "capture.stop()"):
        eval(statement, lab.names)
    assert [text.partition(":")[0] for text in lab.complaints] == ["capture is not configured"] * 3
    assert json.loads(lab.endpoint.ask("/capture").body)["error"].endswith("[capture] section")
