"""``twistd sockd``: reads the command line, then builds the daemon."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from twisted.python import usage
from twisted.python.failure import Failure

from sockd import __version__, check
from sockd.config.specs import AdminSpec, Configuration
from sockd.daemon import Daemon
from sockd.errors import ConfigurationError, Problem
from sockd.interfaces import INetworkService
from sockd.log.event_logger import EventLogger
from sockd.model.ledger import Ledger
from sockd.process import descriptors, memory
from sockd.process.log_encoding import escape_output
from sockd.process.privileges import WARNING, is_root, shell_problems
from sockd.process.startup_stderr import StartupStderr
from sockd.reactor import IReactor
from sockd.registry import Registry, discover
from sockd.reload.reloader import Reloader
from sockd.services.context import ServiceContext
from sockd.startup.banner import banner
from sockd.startup.chosen_reactor import chosen_reactor, is_select, reactor_name
from sockd.startup.configuration import read_configuration
from sockd.startup.control import follow_signals, notify_service_manager
from sockd.startup.views import ViewMaker
from sockd.support.logger import PartLogger
from sockd.support.steps import finished

_DEFAULT_PIDFILE = "twistd.pid"


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
        raise _answered(version)

    def postOptions(self) -> None:
        """Read the file, or do what was asked for in its place.

        :raise SystemExit: with every error of the file; or once ``--check`` or
            ``--hash-password`` are done.
        """
        if self["hash-password"]:
            from sockd.admin.auth.passwords import read_and_hash

            raise _answered(read_and_hash())
        self.registry = discover()
        if self["config"] is not None:
            self.file = str(Path(self["config"]).absolute())
        try:
            self.configuration = finished(
                read_configuration(
                    self["config"], self.registry, chosen_reactor(), self._check_admin
                )
            )
        except ConfigurationError as error:
            raise SystemExit(str(error)) from None
        if self["check"]:
            for warning in check.warnings(self.configuration, chosen_reactor().seconds()):
                sys.stderr.write(f"{warning}\n")
            raise _answered(*map(check.service_summary, self.configuration.services))
        _allow_a_second_lab(twistd_options(self))

    @property
    def stays_root(self) -> bool:
        """Whether the daemon is root, and twistd is not told to change that for good."""
        twistd = twistd_options(self)
        return is_root() and (not twistd.get("uid") or bool(twistd.get("euid")))

    def _check_admin(self, spec: AdminSpec) -> Iterable[Problem]:
        problems = check.admin_files(spec)
        return [*problems, *shell_problems(spec)] if self.stays_root else problems


def makeService(options: Options) -> Daemon:
    """Return the daemon that a configuration asks for, not yet started.

    :raise SystemExit: naming the section whose kind failed to make its service.
    """
    reactor, twistd = chosen_reactor(), twistd_options(options)
    descriptors.claim(descriptors.SELECT if is_select(reactor) else sys.maxsize)
    context = _context(options.configuration, reactor)
    daemon = _daemon(options, context)
    read = partial(read_configuration, options.file, options.registry, reactor, check.admin_logins)
    reloader = Reloader(daemon, options.configuration, read, options.registry, context)
    notify_service_manager(daemon, reloader, reactor)
    follow_signals(daemon, reactor, twistd)
    if options.stays_root:
        _warn_of_root(twistd, reactor)
    reactor.callWhenRunning(daemon.announce)
    reactor.callWhenRunning(memory.settle)
    return daemon


def _context(configuration: Configuration, reactor: IReactor) -> ServiceContext:
    """Return what all services share."""
    ledger = Ledger(reactor.seconds, configuration.history, _observer_failed)
    ledger.subscribe(EventLogger(reactor).tell)
    return ServiceContext(
        reactor, ledger, configuration.drain, configuration.fast_path, configuration.io_uring
    )


def _daemon(options: Options, context: ServiceContext) -> Daemon:
    """Return the daemon with its services and its views."""
    configuration, reactor, twistd = options.configuration, context.reactor, twistd_options(options)
    terminal = StartupStderr()
    reactor.callWhenRunning(terminal.close)
    daemon = Daemon(
        configuration.name,
        context.ledger,
        _services(options, context),
        reactor,
        twistd.get("reactor") or reactor_name(reactor),
        reactor.seconds(),
        terminal.tell,
    )
    views, lines = ViewMaker(configuration, daemon, reactor, twistd, terminal).make()
    daemon.show(views, partial(banner, lines))
    return daemon


def _services(options: Options, context: ServiceContext) -> list[INetworkService]:
    try:
        return [options.registry.serve(spec, context) for spec in options.configuration.services]
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None


def twistd_options(options: Options) -> usage.Options:
    """Return twistd's own options, those before the word ``sockd``."""
    parent = options.parent
    return parent if parent is not None else usage.Options()


def _observer_failed(error: Exception) -> None:
    PartLogger("sockd").failure("An observer of the ledger failed", Failure(error))


def _warn_of_root(twistd: usage.Options, reactor: IReactor) -> None:
    """Warn in the log; and on the terminal, unless the log goes there."""
    log = PartLogger("sockd")
    reactor.callWhenRunning(lambda: log.warn("{warning}", warning=WARNING))
    if not twistd.get("nodaemon") or twistd.get("logfile") or twistd.get("syslog"):
        sys.stderr.write(f"{WARNING}\n")


def _answered(*lines: str) -> SystemExit:
    """Print lines, and return the exception that ends the process with exit status 0."""
    for text in lines:
        print(text)  # noqa: T201 - this is the answer that was asked for
    return SystemExit(0)


def _allow_a_second_lab(twistd: usage.Options) -> None:
    """Write no pidfile in the foreground unless one is named: it would block a second lab."""
    if twistd["nodaemon"] and twistd.get("pidfile") == _DEFAULT_PIDFILE:
        twistd["pidfile"] = ""
