"""The capture service: follows the listeners, and manages the recording and the viewers.

Errors are logged and shown in the status. They never prevent the daemon from starting or a service
from serving.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.capture import dumpcap
from sockd.capture.filters import Followed, Port, capture_filter
from sockd.capture.live import LiveView
from sockd.capture.recorder import Recorder
from sockd.capture.recording import Recording
from sockd.capture.writer_thread import WriterThread
from sockd.config.specs import CaptureSpec
from sockd.errors import CaptureError, Problem
from sockd.interfaces import ICapture
from sockd.model.ledger import Ledger
from sockd.reactor import IReactor
from sockd.support.logger import PartLogger
from sockd.support.service import TypedService
from sockd.support.text import escaped, printable

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

MOST_VIEWERS = 4
"""How many viewers there may be at once."""

DRAIN_CHECK = 1.0
"""How often to check whether a stopped service has drained, in seconds."""

SWEEP = 10.0
"""How often files that are too old are removed, in seconds."""


class CaptureState(StrEnum):
    """The state of the capture to files."""

    STOPPED = "stopped"
    STARTING = "starting"
    CAPTURING = "capturing"
    WAITING = "waiting"
    """It is started, but no service listens on a network."""
    FAILED = "failed"


@implementer(ICapture)
class CaptureService(TypedService):
    """Captures the packets of the services' ports."""

    _log = PartLogger("sockd.capture")

    def __init__(
        self, spec: CaptureSpec, ledger: Ledger, recorder: Recorder, reactor: IReactor
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._reactor = reactor
        self._writer = WriterThread(reactor, recorder)
        self._followed = Followed()
        self._ports: frozenset[Port] = frozenset()
        self._turn = DeferredLock()
        self._is_wanted = False
        self._has_begun = False
        self._recording: Recording | None = None
        self._recorded: frozenset[Port] = frozenset()
        self._error: CaptureError | None = None
        self._viewers: set[LiveView] = set()
        self._sweeps = LoopingCall(self._sweep)
        self._sweeps.clock = reactor
        self._unsubscribe: Callable[[], None] = lambda: None
        self._look_call: IDelayedCall | None = None
        self.is_live = spec.live

    @property
    def state(self) -> CaptureState:
        """The state of the capture to files."""
        if self._error is not None:
            return CaptureState.FAILED
        if not self._is_wanted:
            return CaptureState.STOPPED
        if not self._ports:
            return CaptureState.WAITING
        return CaptureState.CAPTURING if self._has_begun else CaptureState.STARTING

    def startService(self) -> None:
        """Start when the reactor runs: only then are child processes reaped."""
        super().startService()
        self._reactor.callWhenRunning(self._run)

    def stopService(self) -> Deferred[None]:
        """Stop everything. Return a Deferred that fires when no child process is left."""
        self.end()
        self._unsubscribe()
        if self._look_call is not None:
            self._look_call.cancel()
            self._look_call = None
        if self._sweeps.running:
            self._sweeps.stop()
        return Deferred.fromCoroutine(self._end())

    def status(self) -> Mapping[str, object]:
        """Return the status, as plain values."""
        spec, recorder = self._spec, self._writer.recorder
        return {
            "state": self.state.value,
            "error": None if self._error is None else str(self._error),
            "interface": spec.interface,
            "filter": capture_filter(self._ports) or None,
            "payload": spec.payload,
            "live": spec.live,
            "viewers": len(self._viewers),
            "packets": recorder.packets,
            "directory": escaped(os.fsencode(recorder.directory)),
            "max_size": spec.max_size,
            "max_age": spec.max_age,
            "size": sum(size for _, size in recorder.files),
            "files": [{"name": name, "size": size} for name, size in recorder.files],
        }

    def start(self) -> Deferred[None]:
        """Start the capture to files. Return a Deferred that fires when it has begun or failed."""
        self._is_wanted = True
        self._error = None
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop the capture to files. Return a Deferred that fires when all packets are written."""
        self._is_wanted = False
        self._error = None
        return self._settle()

    def watch(self) -> LiveView:
        """Return a live capture for a new viewer."""
        return LiveView(
            self._reactor, self._spec.payload, self._admit, self._judge, self._viewers.discard
        )

    def _run(self) -> None:
        if self.running:
            self._writer.ask(Recorder.survey)
            self._unsubscribe = self._ledger.subscribe_states(lambda _: self._look_in(0))
            self._look()
            self._sweeps.start(SWEEP, now=False)
            if self._spec.start:
                self.start()

    async def _start(self) -> None:
        self._look()
        await self._settle()
        if self._recording is not None:
            await self._recording.ready()

    async def _end(self) -> None:
        viewers = [view.close() for view in tuple(self._viewers)]
        self._is_wanted = False
        await self._settle()
        await gatherResults(viewers)

    def _look_in(self, seconds: float) -> None:
        """Follow the listeners after a delay: a reload changes many of them at once."""
        if self._look_call is not None:
            self._look_call.cancel()
        self._look_call = self._reactor.callLater(seconds, self._look_now)

    def _look_now(self) -> None:
        self._look_call = None
        self._look()
        services = self._ledger.services.values()
        if any(service.active and not service.listeners for service in services):
            self._look_in(DRAIN_CHECK)  # the ports of a service stay until it has drained

    def _look(self) -> None:
        """Follow the listeners: only their ports are captured."""
        ports = self._followed.ports(self._ledger.services.values())
        if ports != self._ports:
            self._ports = ports
            for view in tuple(self._viewers):
                view.close()
            self._settle()

    def _sweep(self) -> Deferred[None]:
        return self._writer.ask(Recorder.sweep).addErrback(self._sweep_failed)

    def _sweep_failed(self, failure: Failure) -> None:
        self._log.failure("Old captures cannot be removed", failure)

    def _settle(self) -> Deferred[None]:
        """Start or stop the recording as needed, one change at a time."""
        return self._turn.run(lambda: Deferred.fromCoroutine(self._match()))

    async def _match(self) -> None:
        wanted: frozenset[Port] = self._ports if self._is_wanted else frozenset()
        recording = self._recording
        if recording is not None and self._recorded != wanted:
            self._recording = None
            await recording.stop()
            self._has_begun = False
            self._log.info("Captured {packets} packets", packets=self._writer.recorder.packets)
        if self._recording is None and wanted and self._error is None:
            await self._record(wanted)

    async def _record(self, ports: frozenset[Port]) -> None:
        recording = Recording(
            self._reactor, self._writer, self._spec.payload, self._begun, self._lost
        )
        try:
            command = self._command(ports)
            await self._writer.ask(Recorder.open)
        except CaptureError as error:
            self._fail(error)
            return
        self._recording, self._recorded = recording, ports
        recording.start(command)

    def _command(self, ports: frozenset[Port]) -> list[str]:
        program = dumpcap.program(os.environ.get("PATH"), self._spec.locations[""])
        return dumpcap.command(program, self._spec, ports)

    def _begun(self) -> None:
        self._has_begun = True
        self._log.info(
            "Capturing on {interface} into {directory}: {filter}",
            interface=self._spec.interface,
            directory=escaped(os.fsencode(self._writer.recorder.directory)),
            filter=capture_filter(self._recorded),
        )

    def _lost(self, error: Exception | None, said: str, ending: str) -> None:
        """Handle the end of a recording that was not stopped."""
        self._recording = None
        self._has_begun = False
        if isinstance(error, CaptureError):
            self._fail(error)
        elif error is not None:
            self._fail(self._problem(printable(f"{type(error).__name__}: {error}")))
        elif (judged := self._judge(said, ending)) is not None:
            self._fail(judged)
        else:
            self._is_wanted = False
            self._log.info("The capture was interrupted")

    def _fail(self, error: CaptureError) -> None:
        self._error = error
        self._log.error("{problem}", problem=str(error))

    def _judge(self, said: str, ending: str) -> CaptureError | None:
        return dumpcap.complaint(said, ending, self._spec)

    def _problem(self, message: str, hint: str = dumpcap.RESTART_HINT) -> CaptureError:
        return CaptureError([Problem(self._spec.locations[""], message, hint)])

    def _admit(self, view: LiveView) -> list[str]:
        """Admit a new viewer; return dumpcap's command line.

        :raise CaptureError: if there are too many viewers, or nothing to capture.
        """
        self._look()
        if len(self._viewers) >= MOST_VIEWERS:
            message = f"the limit of {MOST_VIEWERS} viewers is reached"
            raise self._problem(message, "wait until one of them disconnects")
        if not self._ports:
            message = "no service listens on a network"
            raise self._problem(message, "services() shows which are stopped")
        command = self._command(self._ports)
        self._viewers.add(view)
        return command
