"""The capture service with a fake dumpcap: follows the listeners, reports errors, stops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from sockd.capture import child, dumpcap, live, recording, service
from sockd.capture.recorder import Recorder
from sockd.capture.service import MOST_VIEWERS, CaptureService
from sockd.config.specs import CaptureSpec
from sockd.errors import CaptureError, SourceLocation
from sockd.interfaces import ICapture, ILiveCapture
from sockd.reactor import IReactor
from sockd.testing import STARTED, FakeDaemon
from tests.test_capture_pcapng import PREAMBLE, SECRET, WHOLE, packet_block

PLACES: Mapping[str, SourceLocation] = defaultdict(lambda: SourceLocation("lab.ini", 9, "capture"))


class Child:
    """A dumpcap that does what a test says.

    :ivar signals: what it was sent.
    """

    def __init__(self, protocol: ProcessProtocol, words: list[str]) -> None:
        self.protocol = protocol
        self.words = words
        self.signals: list[str] = []
        self.is_paused = False
        self.is_deaf = False
        protocol.makeConnection(self)

    def signalProcess(self, name: str) -> None:
        """End of it, unless it is deaf; nobody is deaf to KILL."""
        self.signals.append(name)
        if not self.is_deaf or name == "KILL":
            self.end()

    def pauseProducing(self) -> None:
        """Read nothing."""
        self.is_paused = True

    def resumeProducing(self) -> None:
        """Read again."""
        self.is_paused = False

    def write(self, data: bytes) -> None:
        """Write to standard output."""
        self.protocol.outReceived(data)

    def end(self, said: bytes = b"", status: int = 0, number: int | None = None) -> None:
        """Say something, and end."""
        self.protocol.errReceived(said)
        error = ProcessTerminated(status, number) if status or number else ProcessDone(0)
        self.protocol.processEnded(Failure(error))


class Reactor(Clock):
    """A clock that has threads, which are none, and processes, which are fakes."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(STARTED)
        self.children: list[Child] = []
        self.refuse: OSError | None = None

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        """Call at once."""
        call()

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        """Call at once."""
        call(*arguments)

    def getThreadPool(self) -> Reactor:
        """Return this, which is a pool too."""
        return self

    def callInThreadWithCallback(self, done: Callable[..., object], job: Any, *words: Any) -> None:
        """Do a job at once."""
        try:
            result = job(*words)
        except Exception:
            done(False, Failure())
        else:
            done(True, result)

    def spawnProcess(self, protocol: Any, program: str, words: list[str], _: object) -> None:
        """Start a fake."""
        if self.refuse is not None:
            raise self.refuse
        self.children.append(Child(protocol, words))


class Lab:
    """A daemon with one service, and its capture."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.daemon = FakeDaemon()
        self.echo = self.daemon.add("echo")
        self.reactor = Reactor()
        spec = CaptureSpec(PLACES, max_age=0.0, live=True, **options)
        recorder = Recorder(folder / "captures", spec, self.reactor.seconds)
        reactor = cast(IReactor, self.reactor)
        self.capture = CaptureService(spec, self.daemon.ledger, recorder, reactor)
        self.capture.startService()

    @property
    def child(self) -> Child:
        """The newest dumpcap."""
        return self.reactor.children[-1]

    @property
    def state(self) -> Any:
        """Where the capture is in its life."""
        return self.capture.status()["state"]

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        self.reactor.advance(seconds)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(dumpcap, "program", lambda *_: "/usr/bin/dumpcap")
    return Lab(tmp_path)


def fired(deferred: Deferred[None]) -> list[object]:
    found: list[object] = []
    deferred.addBoth(found.append)
    return found


def test_it_is_a_capture(lab: Lab) -> None:
    assert verifyObject(ICapture, lab.capture)
    assert verifyObject(ILiveCapture, lab.capture.watch())


def test_it_begins_when_dumpcap_has_begun_and_ends_with_the_last_packets(lab: Lab) -> None:
    assert lab.state == "stopped"
    started = fired(lab.capture.start())
    assert (lab.state, started) == ("starting", [])
    assert lab.child.words[-4:-2] == ["-f", lab.capture.status()["filter"]]
    lab.child.write(PREAMBLE)
    assert (lab.state, started) == ("capturing", [None])
    stopped = fired(lab.capture.stop())
    lab.child.write(packet_block(WHOLE, 5000))
    assert lab.child.signals == []
    lab.turn(child.KERNEL_BUFFER_TIME)
    assert lab.child.signals == ["TERM"]
    assert stopped == [None]
    status = lab.capture.status()
    assert (status["state"], status["packets"]) == ("stopped", 1)
    (file,) = Path(str(status["directory"])).iterdir()
    assert SECRET not in file.read_bytes()


def test_a_dumpcap_that_does_not_end_is_killed(lab: Lab) -> None:
    lab.capture.start()
    lab.child.is_deaf = True
    stopped = fired(lab.capture.stop())
    lab.turn(child.KERNEL_BUFFER_TIME)
    lab.turn(child.EXIT_TIMEOUT)
    assert lab.child.signals == ["TERM", "KILL"]
    assert stopped == [None]


def test_the_filter_follows_the_ports(lab: Lab) -> None:
    lab.capture.start()
    first = lab.child
    lab.echo.stopService()
    lab.turn(0)
    lab.turn(child.KERNEL_BUFFER_TIME)
    assert first.signals == ["TERM"]
    assert lab.state == "waiting"
    assert len(lab.reactor.children) == 1
    lab.echo.startService()
    lab.turn(0)
    assert len(lab.reactor.children) == 2
    assert lab.state == "starting"


@pytest.mark.parametrize(
    ("said", "status", "number", "error"),
    [
        (b"dumpcap: You do not have permission to capture", 1, None, "no permission to capture"),
        (b'dumpcap: There is no device named "x".', 1, None, "interface: unknown interface"),
        (b'dumpcap: Device "x" is not up.', 1, None, "interface: the interface is gone or down"),
        (b"dumpcap: Oh \x1b[2J dear.", 1, None, r"ended with exit status 1: Oh \x1b[2J dear."),
        (b"dumpcap: Oh dear.", 0, None, "ended with an error: Oh dear."),
        (b"", 0, 9, "ended with signal 9 (capture.start()"),
    ],
)
def test_an_end_that_nobody_asked_for_is_named(
    lab: Lab, said: bytes, status: int, number: int | None, error: str
) -> None:
    started = fired(lab.capture.start())
    lab.child.end(said, status, number)
    assert started == [None]
    assert lab.state == "failed"
    assert error.replace("interface: ", "") in str(lab.capture.status()["error"])
    lab.capture.start()
    assert (lab.state, lab.capture.status()["error"]) == ("starting", None)


def test_an_interrupted_dumpcap_is_no_error(lab: Lab) -> None:
    lab.capture.start()
    lab.child.write(PREAMBLE)
    lab.child.end(b"Packets captured: 0")
    assert (lab.state, lab.capture.status()["error"]) == ("stopped", None)


def test_what_is_no_capture_ends_it(lab: Lab) -> None:
    lab.capture.start()
    lab.child.write(b"Segmentation fault, says somebody")
    assert lab.child.signals == ["TERM"]
    assert "dumpcap did not write pcapng" in str(lab.capture.status()["error"])


def test_a_program_that_the_system_does_not_start_is_named(lab: Lab) -> None:
    lab.reactor.refuse = OSError(12, "Cannot allocate memory")
    lab.capture.start()
    assert "Cannot allocate memory" in str(lab.capture.status()["error"])
    with pytest.raises(CaptureError, match="Cannot allocate memory"):
        next(iter(lab.capture.watch().slices()))
    assert lab.capture.status()["viewers"] == 0


def test_a_viewer_gets_what_comes_and_waits_for_more(lab: Lab) -> None:
    view = lab.capture.watch()
    slices = view.slices()
    assert lab.reactor.children == []
    more = next(slices)
    assert isinstance(more, Deferred)
    woken = fired(more)
    lab.child.write(PREAMBLE + packet_block(WHOLE, 5000))
    assert woken == [None]
    data = next(slices)
    assert isinstance(data, bytes)
    assert data.startswith(PREAMBLE)
    assert SECRET not in data
    view.close()
    assert lab.child.signals == ["TERM"]
    lab.child.write(packet_block(WHOLE, 5000))
    assert list(slices) == []
    assert lab.capture.status()["viewers"] == 0


def test_a_viewer_who_is_slow_holds_dumpcap_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_VIEWER_QUEUE", 100)
    slices = lab.capture.watch().slices()
    next(slices)
    lab.child.write(PREAMBLE)
    assert not lab.child.is_paused
    lab.child.write(packet_block(WHOLE, 5000))
    lab.child.write(packet_block(WHOLE, 5000))
    assert lab.child.is_paused
    next(slices)
    assert not lab.child.is_paused


def test_a_slow_disk_holds_dumpcap_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_WRITE_QUEUE", 100)
    jobs: list[Callable[[], object]] = []
    lab.capture.start()
    at_once = lab.reactor.callInThreadWithCallback
    monkeypatch.setattr(
        lab.reactor, "callInThreadWithCallback", lambda *words: jobs.append(lambda: at_once(*words))
    )
    lab.child.write(PREAMBLE)
    lab.child.write(packet_block(WHOLE, 5000) * 2)
    assert lab.child.is_paused
    while jobs:
        jobs.pop(0)()
    assert not lab.child.is_paused
    assert lab.capture.status()["packets"] == 2


def test_no_more_than_a_few_watch(lab: Lab) -> None:
    for _ in range(MOST_VIEWERS):
        next(lab.capture.watch().slices())
    with pytest.raises(CaptureError, match="limit of 4 viewers"):
        next(lab.capture.watch().slices())
    lab.echo.stopService()
    lab.turn(0)
    assert lab.capture.status()["viewers"] == 0
    with pytest.raises(CaptureError, match="no service listens"):
        next(lab.capture.watch().slices())


def test_a_viewer_who_sees_nothing_is_told_why(lab: Lab) -> None:
    slices = lab.capture.watch().slices()
    next(slices)
    lab.child.end(b"dumpcap: You do not have permission to capture", 1)
    with pytest.raises(CaptureError, match="no permission"):
        next(slices)
    broken = lab.capture.watch().slices()
    next(broken)
    lab.child.write(b"no pcapng at all")
    assert list(broken) == []


def test_the_end_of_the_daemon_ends_everything(lab: Lab) -> None:
    lab.capture.start()
    next(lab.capture.watch().slices())
    stopped = fired(lab.capture.stopService())
    assert lab.child.signals == ["TERM"]
    lab.turn(child.KERNEL_BUFFER_TIME)
    assert [one.signals for one in lab.reactor.children] == [["TERM"], ["TERM"]]
    assert stopped == [None]
    assert lab.reactor.getDelayedCalls() == []


def test_it_captures_from_the_start_where_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumpcap, "program", lambda *_: "/usr/bin/dumpcap")
    lab = Lab(tmp_path, start=True, payload=True)
    assert lab.state == "starting"
    assert str(dumpcap.WHOLE_PACKET) in lab.child.words
    lab.turn(service.SWEEP)
    assert lab.state == "starting"
