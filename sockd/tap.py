"""What ``twistd sockd`` runs: reads the options and wires the parts, nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.python import usage
from twisted.python.failure import Failure

from sockd import __version__, check
from sockd.config.load import AdminCheck, load_in_steps
from sockd.config.specs import AdminSpec, CaptureSpec, Configuration, StatsSpec
from sockd.daemon import Daemon
from sockd.errors import ConfigurationError, Problem, SockdError
from sockd.log.banner import reachable, service_lines, ssh_command, telnet_command, url
from sockd.log.event_logger import EventLogger
from sockd.model.address import OwnHosts
from sockd.model.ledger import Ledger
from sockd.net.own_addresses import own_hosts
from sockd.process import descriptors, memory
from sockd.process.hangup import Hangups, has_terminal, shells
from sockd.process.log_encoding import escape_output, log_observer
from sockd.process.log_file import LogReopener, log_file
from sockd.process.privileges import WARNING, future_owner, is_root, shell_problems
from sockd.process.signals import Action, Shutdown, Signals
from sockd.process.startup_stderr import StartupStderr
from sockd.process.systemd import SystemdNotifier, systemd_notifier
from sockd.reactor import IReactor
from sockd.registry import Registry, discover
from sockd.reload.plan import Plan
from sockd.reload.reloader import Reloader
from sockd.services.context import ServiceContext
from sockd.support.logger import PartLogger
from sockd.support.steps import Steps, finished

if TYPE_CHECKING:
    from sockd.admin.service import AdminService
    from sockd.capture.service import CaptureService
    from sockd.process.state import StateDirectory
    from sockd.stats.service import StatsService

_DEFAULT_PIDFILE = "twistd.pid"
_REFUSED = "; the last reload was refused, the log says why"

T = TypeVar("T")

Invitation = Callable[[OwnHosts], Iterable[str]]
"""Returns the lines that say how to come in."""


class Options(usage.Options):
    """The command line after the word ``sockd``.

    :ivar configuration: what the file says.
    :ivar registry: the kinds and replies that it may name.
    :ivar file: its absolute path, which stays true when a daemon changes its directory.
    """

    synopsis = "[-c FILE] [--check | --hash-password]"
    longdesc = "Hosts the TCP, UDP and multi-connection services that an INI file defines."
    optParameters: ClassVar = [
        ["config", "c", None, "The INI file; without it, the lab that comes with sockd."]
    ]
    optFlags: ClassVar = [
        ["check", None, "Check the file, print a line for each service, start nothing."],
        ["hash-password", None, "Read a password, print its bcrypt hash for a passwd file."],
    ]

    configuration: Configuration
    registry: Registry
    file: str | None = None

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line; from here on everything can be printed.

        :raise SystemExit: if it is wrong. Not every twistd ends with status 1 after a UsageError.
        """
        escape_output()
        try:
            usage.Options.parseOptions(self, options)
        except usage.UsageError as error:
            message = f"sockd: {error} (see twistd sockd --help)"
            raise SystemExit(message) from None

    def opt_version(self) -> None:
        """Print the version of sockd and exit."""
        version = f"sockd {__version__}"
        raise _said(version)

    def postOptions(self) -> None:
        """Read the file, or do what was asked for in its place.

        :raise SystemExit: with every error of the file; or once ``--check`` or
            ``--hash-password`` are done.
        """
        if self["hash-password"]:
            from sockd.admin.auth.passwords import read_and_hash

            raise _said(read_and_hash())
        self.registry = discover()
        if self["config"] is not None:
            self.file = str(Path(self["config"]).absolute())
        try:
            self.configuration = finished(
                _read_configuration(self["config"], self.registry, self._check_admin)
            )
        except ConfigurationError as error:
            raise SystemExit(str(error)) from None
        if self["check"]:
            for warning in check.warnings(self.configuration, _reactor().seconds()):
                sys.stderr.write(f"{warning}\n")
            raise _said(*map(check.service_summary, self.configuration.services))
        _allow_a_second_lab(_twistd(self))

    @property
    def stays_root(self) -> bool:
        """Whether the daemon is root, and twistd is not told to change that for good."""
        twistd = _twistd(self)
        return is_root() and (not twistd.get("uid") or bool(twistd.get("euid")))

    def _check_admin(self, spec: AdminSpec) -> Iterable[Problem]:
        problems = check.admin_files(spec)
        return [*problems, *shell_problems(spec)] if self.stays_root else problems


def makeService(options: Options) -> Daemon:
    """Return the daemon that a configuration asks for, not yet started.

    :raise SystemExit: naming the section whose kind failed to make its service.
    """
    reactor = _reactor()
    configuration = options.configuration
    ledger = Ledger(reactor.seconds, configuration.history, _observer_failed)
    ledger.subscribe(EventLogger(reactor).tell)
    context = ServiceContext(
        reactor, ledger, configuration.drain, configuration.fast_path, configuration.io_uring
    )
    try:
        services = [options.registry.serve(spec, context) for spec in configuration.services]
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    name = _twistd(options).get("reactor") or _reactor_name(reactor)
    descriptors.claim(descriptors.SELECT if _is_select(reactor) else sys.maxsize)
    terminal = StartupStderr()
    reactor.callWhenRunning(terminal.close)
    daemon = Daemon(
        configuration.name, ledger, services, reactor, name, reactor.seconds(), terminal.tell
    )
    _wire_views(daemon, options, reactor, terminal)
    notifier = systemd_notifier(os.environ, reactor)
    read = partial(_read_configuration, options.file, options.registry, check.admin_logins)
    reloader = Reloader(daemon, configuration, read, options.registry, context)
    daemon.reload_by(partial(_reloaded, reloader, daemon, notifier))
    _follow_signals(daemon, reactor, _twistd(options))
    if options.stays_root:
        _warn_of_root(_twistd(options), reactor)
    reactor.callWhenRunning(daemon.announce)
    reactor.callWhenRunning(memory.settle)
    reactor.callWhenRunning(lambda: notifier.ready(_status_line(daemon)))
    reactor.addSystemEventTrigger("before", "shutdown", notifier.stopping)
    return daemon


def _observer_failed(error: Exception) -> None:
    PartLogger("sockd").failure("An observer of the ledger failed", Failure(error))


def _follow_signals(daemon: Daemon, reactor: IReactor, twistd: usage.Options) -> None:
    file = log_file(twistd)
    daemon.log_observer = log_observer(twistd, file)
    shutdown = Shutdown(reactor, reactor.stop, daemon.hurry)
    Signals(reactor, {Action.SHUT_DOWN: shutdown, Action.REOPEN: LogReopener(file)}).install()

    def reload() -> None:
        daemon.reload().addErrback(_told)

    Hangups(reactor, has_terminal, shells(), reload, shutdown.begin).install()


def _reloaded(reloader: Reloader, daemon: Daemon, notifier: SystemdNotifier) -> Deferred[Plan]:
    """Reload, and let the supervisor know; whatever comes of it, the daemon is ready again."""

    def over(result: T) -> T:
        is_refused = isinstance(result, Failure)
        notifier.ready(_status_line(daemon) + (_REFUSED if is_refused else ""))
        return result

    notifier.reloading()
    return reloader.reload().addBoth(over)


def _status_line(daemon: Daemon) -> str:
    listening = [one for one in daemon.services.values() if one.record.listeners]
    return f"{daemon.name}: {len(listening)} of {len(daemon.services)} services listen"


def _warn_of_root(twistd: usage.Options, reactor: IReactor) -> None:
    """Warn in the log; and on the terminal, unless the log goes there."""
    log = PartLogger("sockd")
    reactor.callWhenRunning(lambda: log.warn("{warning}", warning=WARNING))
    if not twistd.get("nodaemon") or twistd.get("logfile") or twistd.get("syslog"):
        sys.stderr.write(f"{WARNING}\n")


def _told(failure: Failure) -> None:
    """Let be what the log has already; what is no fault of the file is logged as unexpected."""
    if not failure.check(SockdError):
        PartLogger("sockd").failure("The reload failed", failure)


def _said(*lines: str) -> SystemExit:
    """Print lines, and return what ends the process with exit status 0."""
    for text in lines:
        print(text)  # noqa: T201 - this is the answer that was asked for
    return SystemExit(0)


def _read_configuration(
    path: str | None, registry: Registry, check_admin: AdminCheck
) -> Steps[Configuration]:
    """Return the configuration of a file, or of the lab that comes with sockd.

    :raise ConfigurationError: with every error of the file, and every broken plugin.
    """
    problems = list(registry.problems)
    broken = ", ".join(problem.location.file for problem in problems)
    missing = f"; broken plugins: {broken}" if broken else ""
    try:
        with as_file(files("sockd") / "lab.ini") as lab:
            configuration = yield from load_in_steps(
                lab if path is None else Path(path),
                registry.kinds,
                registry.replies,
                missing,
                partial(check.usable, reactor=_reactor()),
                check_admin,
            )
    except ConfigurationError as error:
        raise ConfigurationError([*error.problems, *problems]) from None
    is_select = _is_select(_reactor())
    fitted = _fitted(configuration, registry) if is_select else configuration
    demand = check.descriptor_demand(fitted, registry)
    problems += descriptors.problems(fitted, demand, descriptors.hard_limit(), is_select)
    if problems:
        raise ConfigurationError(problems)
    for warning in check.warnings(fitted, _reactor().seconds()):
        PartLogger("sockd").warn("{warning}", warning=str(warning))
    return fitted


def _fitted(configuration: Configuration, registry: Registry) -> Configuration:
    """Return what fits the reactor select, and say so if it is less than the default."""
    demand = check.descriptor_demand(configuration, registry)
    fitted = descriptors.fitted(configuration, demand, descriptors.SELECT)
    for before, after in zip(configuration.services, fitted.services, strict=True):
        if before != after:
            PartLogger("sockd").warn(
                "{service}: max_connections is {most}, since the reactor select serves {limit}"
                " descriptors in all",
                service=after.name,
                most=after.max_connections,
                limit=descriptors.SELECT,
            )
    return fitted


def _reactor() -> IReactor:
    """Return the reactor that twistd has chosen by the time it comes to its subcommand."""
    from twisted.internet import reactor

    return cast(IReactor, reactor)


def _is_select(reactor: IReactor) -> bool:
    return _reactor_name(reactor) == "select"


def _reactor_name(reactor: IReactor) -> str:
    return type(reactor).__name__.removesuffix("Reactor").lower()


def _twistd(options: Options) -> usage.Options:
    """Return twistd's own options."""
    parent = options.parent
    return parent if parent is not None else usage.Options()


def _allow_a_second_lab(twistd: usage.Options) -> None:
    """Write no pidfile in the foreground unless one is named: it would block a second lab."""
    if twistd["nodaemon"] and twistd.get("pidfile") == _DEFAULT_PIDFILE:
        twistd["pidfile"] = ""


def _wire_views(
    daemon: Daemon, options: Options, reactor: IReactor, terminal: StartupStderr
) -> None:
    """Add the stats endpoint and the admin shell, and the banner that names every way in."""
    configuration = options.configuration
    views: list[IService] = []
    invitations: list[Invitation] = [partial(_greeting, daemon)]
    if configuration.stats is not None:
        stats = _stats(configuration.stats, daemon, reactor)
        views.append(stats)
        invitations.append(partial(_stats_lines, stats))
    if configuration.admin is not None:
        admin = _admin(configuration.admin, _state(options), daemon, reactor, terminal)
        views.append(admin)
        invitations.append(partial(_admin_lines, admin))
    if configuration.capture is not None:
        daemon.capture = capture = _capture(configuration.capture, configuration, daemon, reactor)
        views.append(capture)
    daemon.show(views, lambda: _banner(invitations))


def _banner(invitations: Iterable[Invitation]) -> Iterator[str]:
    own = own_hosts()
    return chain.from_iterable(lines(own) for lines in invitations)


def _greeting(daemon: Daemon, own: OwnHosts) -> Iterator[str]:
    yield f"sockd {__version__}, {daemon.name}, process {os.getpid()}"
    yield from service_lines([service.record for service in daemon.services.values()], own)


def _stats_lines(stats: StatsService, own: OwnHosts) -> Iterator[str]:
    for listener in reachable(stats.listeners, own):
        yield f"stats: {url(listener, '/ports')}"


def _admin_lines(admin: AdminService, own: OwnHosts) -> Iterator[str]:
    for listener in reachable(admin.ssh_listeners, own):
        yield f"admin: {ssh_command(listener, admin.user)}"
    for listener in admin.telnet_listeners:
        yield f"admin: {telnet_command(listener)}"
    if admin.password_notice:
        yield f"admin: {admin.password_notice}"


def _stats(spec: StatsSpec, daemon: Daemon, reactor: IReactor) -> StatsService:
    from sockd.stats.service import StatsService

    return StatsService(spec, daemon, reactor)


def _state(options: Options) -> StateDirectory:
    from sockd.process.state import StateDirectory

    configuration, twistd = options.configuration, _twistd(options)
    owner = future_owner(twistd.get("uid"), twistd.get("gid"))
    return StateDirectory(configuration.state, configuration.state_location, owner)


def _admin(
    spec: AdminSpec,
    state: StateDirectory,
    daemon: Daemon,
    reactor: IReactor,
    terminal: StartupStderr,
) -> AdminService:
    from sockd.admin.service import AdminService

    return AdminService(spec, daemon, reactor, state, terminal)


def _capture(
    spec: CaptureSpec, configuration: Configuration, daemon: Daemon, reactor: IReactor
) -> CaptureService:
    from sockd.capture.recorder import Recorder
    from sockd.capture.service import CaptureService
    from sockd.process.state import CAPTURES, StateDirectory

    directory = spec.directory or StateDirectory(configuration.state).path / CAPTURES
    recorder = Recorder(directory, spec, reactor.seconds)
    return CaptureService(spec, daemon.ledger, recorder, reactor)
