"""A passed socket is left unchanged: it is shared with the next process."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.clients import ask, receive, udp_client
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, Sockd, wait_until
from tests.support_admin import SSH
from tests.users import AS_NOBODY, NOBODY, UNMEASURED, as_root, public_folder
from tests.vitals import descriptors

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
BACKLOG = 700
SORTS = ("unix", "abstract", "tcp", "tcp6")

ACTIVATE = """
import fcntl, os, runpy, sys
passed = [int(word) for word in sys.argv[2].split(",")]
copies = [fcntl.fcntl(number, fcntl.F_DUPFD, 100) for number in passed]
for place, number in enumerate(copies, 3):
    os.dup2(number, place, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)))
os.environ.update(LISTEN_FDNAMES=sys.argv[1])
sys.argv[:] = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name="__main__")  # another user may not run the interpreter
"""


@dataclass(frozen=True)
class Passed:
    """A listening socket of the service manager.

    :ivar sort: one of :data:`SORTS`.
    """

    sort: str
    listening: socket.socket
    ss: str

    @property
    def endpoint(self) -> str:
        """The endpoint in the configuration."""
        domain = {"tcp": "INET", "tcp6": "INET6"}.get(self.sort, "UNIX")
        return f"systemd:domain={domain}:name=lab"

    @property
    def path(self) -> Path:
        """The file of a unix socket."""
        return Path(self.listening.getsockname())

    def client(self) -> socket.socket:
        """Return a connected client."""
        client = socket.socket(self.listening.family)
        client.settimeout(DEADLINE)
        client.connect(self.listening.getsockname())
        return client

    def answers(self) -> bool:
        """Return whether a client is served."""
        with self.client() as client:
            return ask(client, b"hello") == b"hello"

    def backlog(self) -> int:
        """Return the backlog as ss(8) reports it, which lists listening sockets only."""
        name = self.listening.getsockname()
        if isinstance(name, tuple):
            words, end = ("-ltn",), f":{name[1]}"
        else:
            text = name.decode() if isinstance(name, bytes) else name
            words, end = ("-lx",), text.replace("\0", "@")
        said = subprocess.run(
            [self.ss, "-H", *words], capture_output=True, encoding="utf-8", check=True
        ).stdout
        location = 3 if words == ("-ltn",) else 4
        rows = [line.split() for line in said.splitlines()]
        [row] = [row for row in rows if row[location].endswith(end)]
        return int(row[location - 1])

    def as_it_is(self) -> tuple[object, ...]:
        """Return the state that the next process finds: backlog, options and file."""
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.SOL_SOCKET, socket.SO_RCVBUF)]
        if self.sort.startswith("tcp"):
            options.append((socket.IPPROTO_TCP, socket.TCP_NODELAY))
        told = [self.listening.getsockopt(*option) for option in options]
        if self.sort != "unix":
            return (self.backlog(), *told)
        found = self.path.stat()
        owner = (found.st_uid, found.st_gid)
        return (self.backlog(), *told, found.st_ino, stat.S_IMODE(found.st_mode), owner)


@pytest.fixture(params=SORTS)
def passed(request: pytest.FixtureRequest, tool: ToolFinder) -> Iterator[Passed]:
    """Return a listening socket, of each type in turn."""
    with listening(request.param, tool("ss", "iproute2")) as made:
        yield made


@contextmanager
def listening(sort: str, ss: str) -> Iterator[Passed]:
    with public_folder() as folder:
        family = {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6}.get(sort, socket.AF_UNIX)
        addresses: dict[str, tuple[str, int] | str] = {
            "tcp": ("127.0.0.1", 0),
            "tcp6": ("::1", 0),
            "unix": f"{folder}/lab.sock",
            "abstract": f"\0{folder}",
        }
        with socket.socket(family) as made:
            made.bind(addresses[sort])
            if sort == "unix":
                Path(made.getsockname()).chmod(0o600)
            made.listen(BACKLOG)
            yield Passed(sort, made, ss)


def activated(
    run: Callable[..., Sockd], ini: str, passed: Passed, user: tuple[str, ...] = ()
) -> Sockd:
    """Run a daemon that gets a socket with the name ``lab``, as from systemd.

    :param user: the start of a command line that runs the rest as another user.
    """
    number = passed.listening.fileno()
    return run(
        ini,
        command=(*user, sys.executable, "-c", ACTIVATE, "lab", str(number), TWISTD),
        pass_fds=(number,),
        environment=UNMEASURED if user else None,
    )


def service(endpoint: str, name: str = "s") -> str:
    return f"[service:{name}]\nkind = multi\nlisten = {endpoint}\n"


def test_it_is_left_as_it_was_and_served_by_the_next_process(
    run_sockd: RunSockd, passed: Passed
) -> None:
    before = passed.as_it_is()
    ini = service(passed.endpoint) + STATS
    first = activated(run_sockd, ini, passed)
    assert passed.answers()
    assert passed.as_it_is() == before
    assert first.stop() == 0
    assert passed.as_it_is() == before
    with passed.client() as queued:
        queued.sendall(b"queued")
        second = activated(run_sockd, ini, passed)
        assert receive(queued, 6) == b"queued"
    assert passed.answers()
    assert second.stop(signal.SIGKILL) != 0
    assert passed.as_it_is() == before


def test_two_processes_may_have_it_at_once(run_sockd: RunSockd, passed: Passed) -> None:
    ini = service(passed.endpoint) + STATS
    first = activated(run_sockd, ini, passed)
    activated(run_sockd, ini, passed)
    assert first.stop() == 0
    for _ in range(3):
        assert passed.answers()


def test_the_backlog_is_the_one_that_the_kernel_has(run_sockd: RunSockd, passed: Passed) -> None:
    sockd = activated(run_sockd, service(passed.endpoint) + STATS, passed)
    [listener] = sockd.service("s")["listeners"]
    assert listener["backlog"] == BACKLOG
    sockd.wait_for(rf"Listen on .*, backlog {BACKLOG} \(s\)")


def test_small_answers_and_dead_peers_are_seen_to_connection_by_connection(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    with listening("tcp", tool("ss", "iproute2")) as passed:
        activated(run_sockd, service(passed.endpoint) + STATS, passed)
        with passed.client() as client:
            assert ask(client, b"hello") == b"hello"
            ports = f"sport = :{passed.listening.getsockname()[1]}"
            said = subprocess.run(
                [passed.ss, "-Htno", "state", "established", ports],
                capture_output=True,
                encoding="utf-8",
                check=True,
            ).stdout
            assert "timer:(keepalive," in said


def test_a_reload_gives_it_back_and_takes_it_again(run_sockd: RunSockd, passed: Passed) -> None:
    before = passed.as_it_is()
    sockd = activated(run_sockd, service(passed.endpoint) + STATS, passed)
    for number in range(2):
        reload(sockd, service("tcp:0:interface=127.0.0.1") + STATS, 2 * number + 1)
        assert passed.as_it_is() == before
        with passed.client() as queued:
            queued.sendall(b"queued")
            reload(sockd, service(passed.endpoint) + "backlog = 9\n" + STATS, 2 * number + 2)
            assert receive(queued, 6) == b"queued"
        assert passed.as_it_is() == before
        [listener] = sockd.service("s")["listeners"]
        assert listener["backlog"] == BACKLOG


def test_a_changed_backlog_of_its_section_does_not_change_it(
    run_sockd: RunSockd, passed: Passed
) -> None:
    before = passed.as_it_is()
    sockd = activated(run_sockd, service(passed.endpoint) + STATS, passed)
    reload(sockd, service(passed.endpoint) + "backlog = 9\n" + STATS, 1)
    assert passed.as_it_is() == before
    assert sockd.service("s")["listeners"][0]["backlog"] == BACKLOG


def reload(sockd: Sockd, ini: str, times: int) -> None:
    sockd.file.write_text(ini, encoding="utf-8")
    sockd.send_signal(signal.SIGHUP)
    wait_until(lambda: sockd.output.count("Reloaded: ") == times)


def test_a_refused_reload_leaves_it_as_it_was(run_sockd: RunSockd, passed: Passed) -> None:
    before = passed.as_it_is()
    ini = service("tcp:0:interface=127.0.0.1") + STATS
    sockd = activated(run_sockd, ini, passed)
    before_it = descriptors(sockd)
    refused = ini + service(passed.endpoint, "t") + service("tcp:0:interface=192.0.2.1", "u")
    for number in range(3):
        sockd.file.write_text(refused, encoding="utf-8")
        sockd.send_signal(signal.SIGHUP)
        wait_until(partial(has_refused, sockd, number + 1))
    assert passed.as_it_is() == before
    assert sorted(one["name"] for one in sockd.get("/services")["services"]) == ["s"]
    wait_until(lambda: descriptors(sockd) == before_it)
    with passed.client() as queued:
        reload(sockd, ini + service(passed.endpoint, "t"), 1)
        assert ask(queued, b"queued") == b"queued"


def has_refused(sockd: Sockd, times: int) -> bool:
    return sockd.output.count("Nothing was changed") == times


def test_stop_and_start_in_the_shell_give_it_back_and_take_it_again(
    run_sockd: RunSockd, passed: Passed, tool: ToolFinder, tmp_path: Path
) -> None:
    before = passed.as_it_is()
    ini = service(passed.endpoint) + "[admin]\nssh = tcp:0:interface=127.0.0.1\n"
    sockd = activated(run_sockd, ini, passed)
    password = sockd.first_password
    ssh = SSH(tool("ssh", "openssh-client"), tmp_path, sockd.ssh_port)
    ssh.run("stop('s')", password=password)
    assert passed.as_it_is() == before
    with passed.client() as queued:
        queued.sendall(b"queued")
        ssh.run("start('s')", password=password)
        assert receive(queued, 6) == b"queued"
    assert passed.as_it_is() == before


def test_the_stats_on_a_passed_socket_leave_it_as_it_was(
    run_sockd: RunSockd, passed: Passed
) -> None:
    before = passed.as_it_is()
    ini = service("tcp:0:interface=127.0.0.1") + f"[stats]\nlisten = {passed.endpoint}\n"
    for _ in range(2):
        sockd = activated(run_sockd, ini, passed)
        with passed.client() as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert sockd.stop() == 0
        assert passed.as_it_is() == before


def test_twisteds_proxy_wrapper_leaves_it_as_it_was_and_can_have_it_again(
    run_sockd: RunSockd, passed: Passed
) -> None:
    before = passed.as_it_is()
    wrapped = service(f"haproxy:{passed.endpoint}") + STATS
    sockd = activated(run_sockd, wrapped, passed)
    reload(sockd, service("tcp:0:interface=127.0.0.1") + STATS, 1)
    reload(sockd, wrapped, 2)
    with passed.client() as client:
        client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 4 5\r\nhello")
        assert receive(client, 5) == b"hello"
    assert sockd.stop() == 0
    assert passed.as_it_is() == before


@as_root
@pytest.mark.parametrize(("owner", "user"), [(0, AS_NOBODY), (NOBODY, AS_NOBODY), (NOBODY, ())])
def test_it_is_served_and_left_unchanged_whatever_its_owner(
    tool: ToolFinder, owner: int, user: tuple[str, ...]
) -> None:
    with listening("unix", tool("ss", "iproute2")) as passed, public_folder() as folder:
        os.chown(passed.path, owner, owner)
        before = passed.as_it_is()
        ini = service(passed.endpoint)
        with activated(partial(Sockd, folder=folder), ini, passed, user) as sockd:
            assert passed.answers()
            assert sockd.stop() == 0
        assert passed.as_it_is() == before


@as_root
def test_the_shell_on_a_passed_socket_leaves_it_as_it_was(tool: ToolFinder) -> None:
    with listening("unix", tool("ss", "iproute2")) as passed, public_folder() as folder:
        os.chown(folder, NOBODY, NOBODY)
        before = passed.as_it_is()
        ini = f"[sockd]\nstate = {folder}/var\n{service('tcp:0:interface=127.0.0.1')}"
        ini += f"[admin]\nssh = {passed.endpoint}\n"
        for _ in range(2):
            with activated(partial(Sockd, folder=folder), ini, passed, AS_NOBODY) as sockd:
                with passed.client() as client:
                    assert receive(client, 4) == b"SSH-"
                assert sockd.stop() == 0
            assert passed.as_it_is() == before


def test_a_socket_that_does_not_listen_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "lab.ini").write_text(service("systemd:domain=INET:name=lab"), encoding="utf-8")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        done = subprocess.run(
            [
                *(sys.executable, "-c", ACTIVATE, "lab", str(bound.fileno())),
                *(TWISTD, "-n", "sockd", "-c", "lab.ini"),
            ],
            cwd=tmp_path,
            pass_fds=(bound.fileno(),),
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
    assert done.returncode == 1
    assert "'systemd:domain=INET:name=lab' does not listen (Accept=no" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_datagram_socket_is_served_by_the_next_process(run_sockd: RunSockd) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as bound, udp_client() as client:
        bound.bind(("127.0.0.1", 0))
        passed = Passed("udp", bound, "")
        ini = f"[service:s]\nkind = udp\nlisten = systemd:name=lab\n{STATS}"
        buffers = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        for number in range(2):
            client.sendto(b"queued", bound.getsockname())
            sockd = activated(run_sockd, ini, passed)
            assert client.recv(100) == b"queued"
            assert sockd.stop() == 0, number
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == buffers
