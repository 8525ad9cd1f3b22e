"""The service of the admin shell: loads the keys and passwords, and listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from zope.interface import implementer

from sockd import __version__
from sockd.admin.auth import credentials
from sockd.admin.auth.access import Access
from sockd.admin.auth.credentials import Credentials
from sockd.admin.auth.first_password import FirstPassword, PasswordDisplay
from sockd.admin.auth.roles import Role
from sockd.admin.commands.commands import Commands
from sockd.admin.commands.viewer import ViewerShell
from sockd.admin.connections import AdminConnection, AdminConnections
from sockd.admin.prompt.console import Console
from sockd.admin.prompt.interpreter import Interpreter
from sockd.admin.prompt.interruption import Interrupter
from sockd.admin.prompt.runner import AuditedRunner, Runner
from sockd.admin.prompt.terminal import Shell
from sockd.admin.sessions import Session
from sockd.admin.ssh import SSHServerFactory
from sockd.admin.telnet import TelnetServerFactory
from sockd.config.specs import AdminSpec, Configuration
from sockd.errors import BindError, ConfigurationError, InvalidValue, Problem
from sockd.interfaces import IDaemon, IReloadableView
from sockd.model.records import Listener
from sockd.net.listeners import Listeners
from sockd.process.state import HOST_KEY, StateDirectory
from sockd.reactor import IReactor
from sockd.support.logger import PartLogger
from sockd.support.service import BindingService
from sockd.support.text import printable

_BACKLOG = 50


@implementer(IReloadableView)
class AdminService(BindingService):
    """The admin shell of a daemon, over SSH and telnet.

    :ivar user: the name of an admin who can log in.
    """

    _log = PartLogger("sockd.admin")

    def __init__(
        self,
        spec: AdminSpec,
        daemon: IDaemon,
        reactor: IReactor,
        state: StateDirectory,
        screen: PasswordDisplay,
    ) -> None:
        self._spec = spec
        self._daemon = daemon
        self._reactor = reactor
        self._state = state
        self._first = FirstPassword(state, screen)
        self._access = Access(reactor)
        self._connections = AdminConnections(
            reactor, spec.max_sessions, spec.idle_timeout, self._first.entered
        )
        self._interrupter = Interrupter(spec.statement_timeout)
        self._ssh = Listeners(reactor, spec.ssh, _BACKLOG)
        self._telnet = Listeners(reactor, spec.telnet, _BACKLOG)
        self.user = spec.user

    @property
    def ssh_listeners(self) -> tuple[Listener, ...]:
        """The listeners of SSH that are bound."""
        return self._ssh.bound

    @property
    def telnet_listeners(self) -> tuple[Listener, ...]:
        """The listeners of telnet that are bound."""
        return self._telnet.bound

    @property
    def password_notice(self) -> str | None:
        """The log line about the first password, or ``None``."""
        return self._first.notice()

    def _bind(self) -> None:
        """Load or generate the keys and passwords, and bind.

        :raise ConfigurationError: if a file or the state directory is invalid.
        :raise BindError: if an endpoint cannot be bound; then none stays bound.
        """
        host_key = self._load_host_key()
        self._accept(self._load(self._spec, self._first.find_or_make))
        self._listen(host_key)

    def startService(self) -> None:
        """Serve, and show a password that was generated at this start."""
        super().startService()
        self._first.show()

    def prepare(self, configuration: Configuration) -> Callable[[], None]:
        """Read keys, passwords and viewers again; return a function that applies them.

        The function cannot fail. It ends the sessions whose credentials are not valid any more.

        :raise ConfigurationError: with every invalid line of the files.
        """
        spec = configuration.admin
        if spec is None:
            return lambda: None
        known = self._load(spec, lambda user: self._found(spec))
        return partial(self._follow, spec, known)

    def _follow(self, spec: AdminSpec, known: Credentials) -> None:
        self._spec = spec
        self._ssh.renew(spec.ssh, _BACKLOG)
        self._telnet.renew(spec.telnet, _BACKLOG)
        self._accept(known)
        self._connections.change(spec.max_sessions, spec.idle_timeout, self._access.holds)

    def _accept(self, known: Credentials) -> None:
        self.user = known.somebody
        self._access.change(known.grants)

    def stopService(self) -> Deferred[None]:
        """Stop listening and end the sessions. Return a Deferred that fires when this is done."""
        if not self.running:
            self._first.take_back()
        self.end()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._ssh.close()
        await self._telnet.close()
        await self._connections.show_out()

    def _listen(self, host_key: Key) -> None:
        ssh = SSHServerFactory(host_key, self._access, self._connections, self._session)
        telnet = TelnetServerFactory(self._access, self._connections, self._shell)
        problems = [*self._open(self._ssh, ssh), *self._open(self._telnet, telnet)]
        if problems:
            self._ssh.close()
            self._telnet.close()
            raise BindError(problems)

    def _open(self, listeners: Listeners, factory: Factory) -> tuple[Problem, ...]:
        try:
            listeners.open(lambda _: factory, lambda: None, self._binding_failed)
        except BindError as error:
            return error.problems
        return ()

    def _load_host_key(self) -> Key:
        """Return the host key of the section, or the one in the state directory."""
        given = credentials.given_host_key(self._spec)
        if given is not None:
            return given
        kept = self._state.read(HOST_KEY)
        if kept is None:
            made = Key(Ed25519PrivateKey.generate()).toString("OPENSSH")
            kept = self._state.keep(HOST_KEY, made)
        try:
            return credentials.private_key(kept)
        except InvalidValue as invalid:
            raise self._state.damaged(HOST_KEY, invalid) from None

    def _load(self, spec: AdminSpec, first: Callable[[str], bytes]) -> Credentials:
        """Return the section's credentials, or the first password if it has none.

        :param first: returns the hash of the first password of a user.
        """
        given = credentials.load_credentials(spec)
        if spec.authorized_keys is not None or spec.passwd is not None:
            return given
        return replace(given, hashes={spec.user: first(spec.user)})

    def _found(self, spec: AdminSpec) -> bytes:
        """Return the hash of the first password. Only a start generates it, as bcrypt is slow."""
        found = self._first.find()
        if found is None:
            message = "no first password exists, and neither authorized_keys nor passwd is set"
            problem = Problem(spec.locations["passwd"], message, "set one of them, or restart")
            raise ConfigurationError([problem])
        return found

    def _runner(self, role: Role, connection: AdminConnection, console: Console) -> Runner:
        """Return the runner of a session: Python for admins, a fixed table for viewers."""
        if role is Role.ADMIN:
            commands = Commands(self._daemon, console, self._reactor.seconds)
            runner: Runner = Interpreter(
                commands.namespace(), console, self._interrupter, connection.interrupted
            )
        else:
            runner = ViewerShell(self._daemon, console, self._reactor.seconds)
        return AuditedRunner(runner, connection.runs, lambda: connection.is_leaving)

    def _session(
        self, role: Role, connection: AdminConnection, is_slow: Callable[[], bool]
    ) -> Session:
        make = partial(self._runner, role, connection)
        return Session(self._reactor, connection, role, make, self._greeting, is_slow)

    def _shell(self, role: Role, connection: AdminConnection, is_slow: Callable[[], bool]) -> Shell:
        make = partial(self._runner, role, connection)
        return Shell(make, self._greeting, self._reactor, is_slow)

    @property
    def _greeting(self) -> str:
        name = printable(self._daemon.name)
        return f"sockd {__version__}, {name}: commands() lists the commands"
