"""The admin shell as a service: prepares its keys and passwords, and listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from sockd import __version__
from sockd.admin import credentials
from sockd.admin.checkers import KeyChecker, PasswordChecker
from sockd.admin.commands import Commands
from sockd.admin.console import Console
from sockd.admin.credentials import Credentials
from sockd.admin.guests import Guest, Guests
from sockd.admin.interpreter import Interpreter
from sockd.admin.interruption import Interrupter
from sockd.admin.passwords import checked_hash, hashed, random_password
from sockd.admin.roles import Role
from sockd.admin.runner import Recorded, Runner
from sockd.admin.sessions import Session
from sockd.admin.ssh import SSHDoor
from sockd.admin.telnet import TelnetDoor
from sockd.admin.terminal import Shell
from sockd.admin.viewer import ViewerShell
from sockd.config.specs import AdminSpec
from sockd.errors import BindError, Problem, Unfit
from sockd.interfaces import IDaemon
from sockd.listening.listeners import Listeners
from sockd.process.state import HOST_KEY, PASSWORD, StateDirectory
from sockd.reactor import IReactor
from sockd.records import Listener
from sockd.service import BindingService
from sockd.text import printable

_BACKLOG = 50

T = TypeVar("T")


class AdminService(BindingService):
    """The shell of a daemon, over SSH and telnet.

    :ivar user: an admin who can log in.
    :ivar new_password: the password that was made at this start; ``None`` if none was. A start that
        cannot bind all its ports drops it again: nobody has been shown it.
    """

    _log = Logger()

    def __init__(
        self, spec: AdminSpec, daemon: IDaemon, reactor: IReactor, state: StateDirectory
    ) -> None:
        self._spec = spec
        self._daemon = daemon
        self._reactor = reactor
        self._state = state
        self._guests = Guests(reactor, spec.max_sessions, spec.idle_timeout)
        self._interrupter = Interrupter(spec.statement_timeout)
        self._ssh = Listeners(reactor, spec.ssh, _BACKLOG)
        self._telnet = Listeners(reactor, spec.telnet, _BACKLOG)
        self._is_bound = False
        self.user = spec.user
        self.new_password: str | None = None

    @property
    def ssh_listeners(self) -> tuple[Listener, ...]:
        """Where SSH listens now."""
        return self._ssh.bound

    @property
    def telnet_listeners(self) -> tuple[Listener, ...]:
        """Where telnet listens now."""
        return self._telnet.bound

    def bind(self) -> None:
        """Read or make the keys and passwords, and bind, unless that was done.

        :raise ConfigurationError: if a file, or the state directory, is not as it should be.
        :raise BindError: if an endpoint cannot be had; then none is held.
        """
        if not self._is_bound:
            self._listen(self._load_host_key(), self._load_credentials())

    def stopService(self) -> Deferred[None]:
        """Stop listening and end the sessions; the Deferred fires when that is done."""
        if self.new_password is not None and not self.running:
            self._state.discard(PASSWORD)
        self.new_password = None
        self.end()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._is_bound = False
        await self._ssh.close()
        await self._telnet.close()
        await self._guests.show_out()

    def _listen(self, host_key: Key, known: Credentials) -> None:
        self.user = known.somebody
        passwords = PasswordChecker(self._reactor, known.all_hashes)
        checkers: list[ICredentialsChecker] = []
        if known.all_hashes:
            checkers.append(passwords)
        if known.all_keys:
            checkers.append(KeyChecker(known.all_keys))
        ssh = SSHDoor(host_key, checkers, known.roles, self._guests, self._session)
        telnet = TelnetDoor(passwords, known.roles, self._guests, self._shell)
        problems = [*self._open(self._ssh, ssh), *self._open(self._telnet, telnet)]
        if problems:
            self._ssh.close()
            self._telnet.close()
            raise BindError(problems)
        self._is_bound = True

    def _open(self, listeners: Listeners, door: Factory) -> tuple[Problem, ...]:
        try:
            listeners.open(lambda _: door, lambda: None, self._failed)
        except BindError as error:
            return error.problems
        return ()

    def _failed(self, error: BindError) -> None:
        self._log.error("{problem}", problem=str(error))

    def _load_host_key(self) -> Key:
        """Return the host key: the section's, or the one in the state directory."""
        given = credentials.given_host_key(self._spec)
        if given is not None:
            return given
        kept = self._state.read(HOST_KEY)
        if kept is None:
            made = Key(Ed25519PrivateKey.generate()).toString("OPENSSH")
            kept = self._state.keep(HOST_KEY, made)
        return self._unless_damaged(HOST_KEY, credentials.private_key, kept)

    def _load_credentials(self) -> Credentials:
        """Return the section's credentials, or those in the state directory."""
        given = credentials.load(self._spec)
        if self._spec.authorized_keys is not None or self._spec.passwd is not None:
            return given
        kept = self._state.read(PASSWORD)
        if kept is None:
            password = random_password()
            made = f"{self.user}:{hashed(password)}\n".encode()
            kept = self._state.keep(PASSWORD, made)
            self.new_password = password if kept == made else None
        known = self._unless_damaged(PASSWORD, _hash_in, kept)
        return replace(given, hashes={self.user: known})

    def _unless_damaged(self, name: str, parse: Callable[[bytes], T], data: bytes) -> T:
        try:
            return parse(data)
        except Unfit as unfit:
            wrong = f"{printable(str(self._state.path / name))}: {unfit.wrong}"
            raise self._state.error(wrong, "remove it, and a new one is made") from None

    def _runner(self, role: Role, guest: Guest, console: Console) -> Runner:
        """Return what runs the commands of somebody: Python for an admin alone."""
        if role is Role.ADMIN:
            commands = Commands(self._daemon, console, self._reactor.seconds)
            runner: Runner = Interpreter(
                commands.namespace(), console, self._interrupter, guest.interrupted
            )
        else:
            runner = ViewerShell(self._daemon, console, self._reactor.seconds)
        return Recorded(runner, guest.runs)

    def _session(self, role: Role, guest: Guest, is_slow: Callable[[], bool]) -> Session:
        make = partial(self._runner, role, guest)
        return Session(self._reactor, guest, role, make, self._greeting, is_slow)

    def _shell(self, role: Role, guest: Guest, is_slow: Callable[[], bool]) -> Shell:
        make = partial(self._runner, role, guest)
        return Shell(make, self._greeting, self._reactor, is_slow)

    @property
    def _greeting(self) -> str:
        name = printable(self._daemon.name)
        return f"sockd {__version__}, {name}: commands() lists the commands"


def _hash_in(data: bytes) -> bytes:
    """Return the hash in an htpasswd file of one line, whoever it was made for."""
    return checked_hash(data.strip().rpartition(b":")[2])
