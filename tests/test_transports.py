"""Every type of Twisted's stream endpoints serves the same services."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.certificates import TLSFiles
from tests.clients import LOOPBACK, ask, connect, receive, receive_to_end
from tests.conftest import RunSockd
from tests.harness import DEADLINE, TWISTD, wait_until

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
KINDS = ["tcp", "multi"]


def ini(kind: str, endpoint: str) -> str:
    return f"[service:s]\nkind = {kind}\nlisten = {endpoint}\n{STATS}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("tcp:0:interface=127.0.0.1", "127.0.0.1"),
        ("tcp:0", "127.0.0.1"),
        (r"tcp:0:interface=\:\:1", "::1"),
        (r"tcp6:0:interface=\:\:1", "::1"),
        ("tcp6:0", "::1"),
        ("tcp6:0", "127.0.0.1"),
    ],
)
def test_tcp_over_both_internet_protocols(
    run_sockd: RunSockd, kind: str, endpoint: str, host: str
) -> None:
    sockd = run_sockd(ini(kind, endpoint))
    with connect(sockd.port("s"), host) as client:
        assert ask(client, b"hello") == b"hello"
        [row] = sockd.get("/connections")["connections"]
        assert row["transport"] == "tcp"
        assert row["local"] == {"host": host, "port": sockd.port("s")}
        assert row["peer"] == {"host": host, "port": client.getsockname()[1]}


@pytest.mark.dependencies
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", ["ssl", "tls"])
def test_tls(run_sockd: RunSockd, tls_files: TLSFiles, kind: str, sort: str) -> None:
    by_folder = f"tls:{tls_files.pems}:port=0:interface=127.0.0.1"
    sockd = run_sockd(ini(kind, tls_files.endpoint(0) if sort == "ssl" else by_folder))
    context = tls_files.client_context()
    plain = connect(sockd.port("s"))
    with context.wrap_socket(plain, server_hostname="localhost") as client:
        data = os.urandom(200_000)
        assert ask(client, data) == data
        [row] = sockd.get("/connections")["connections"]
        assert (row["transport"], row["bytes_in"], row["bytes_out"]) == ("tls", 200_000, 200_000)
        assert row["tcp"]["state"] == "established"
        plain = client.unwrap()
        assert receive_to_end(plain) == b""
    wait_until(lambda: sockd.service("s")["closed"] == 1)
    [row] = sockd.get("/connections?state=closed")["connections"]
    assert row["reason"] == "eof"


@pytest.mark.dependencies
def test_a_tls_client_may_offer_http(run_sockd: RunSockd, tls_files: TLSFiles) -> None:
    sockd = run_sockd(ini("multi", tls_files.endpoint(0)))
    context = tls_files.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(connect(sockd.port("s")), server_hostname="localhost") as client:
        assert ask(client, b"hello") == b"hello"
        assert client.selected_alpn_protocol() == "http/1.1"


@pytest.mark.dependencies
def test_one_tls_client_at_a_time(run_sockd: RunSockd, tls_files: TLSFiles) -> None:
    sockd = run_sockd(ini("tcp", tls_files.endpoint(0)))
    context = tls_files.client_context()
    first = context.wrap_socket(connect(sockd.port("s")), server_hostname="localhost")
    second = connect(sockd.port("s"))
    wait_until(lambda: sockd.service("s")["listeners"][0]["waiting"] == 1)
    first.close()
    with context.wrap_socket(second, server_hostname="localhost") as client:
        assert ask(client, b"my turn") == b"my turn"


class TLSInMemory:
    """A TLS client that controls which records are sent together.

    :param context: its TLS context.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((LOOPBACK, port))
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._shake_hands()

    def question_and_goodbye(self, data: bytes) -> bytes:
        """Return the encrypted form of data followed by close_notify."""
        self._tls.write(data)
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._outgoing.read()

    def receive_to_goodbye(self) -> bytes:
        """Return everything until the server sends close_notify and closes."""
        received = []
        while wire := self.socket.recv(65536):
            self._incoming.write(wire)
            with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                while data := self._tls.read(65536):
                    received.append(data)
        return b"".join(received)

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(65536))
            else:
                self.socket.sendall(self._outgoing.read())
                return


@pytest.mark.dependencies
@pytest.mark.parametrize("size", [5, 50_000, 200_000, 500_000, 2_000_000, 4_000_000])
def test_a_tls_client_that_says_goodbye_at_once_still_gets_every_byte(
    run_sockd: RunSockd, tls_files: TLSFiles, size: int
) -> None:
    sockd = run_sockd(ini("tcp", tls_files.endpoint(0)))
    client = TLSInMemory(sockd.port("s"), tls_files.client_context())
    data = os.urandom(size)
    sender = threading.Thread(
        target=client.socket.sendall, args=(client.question_and_goodbye(data),)
    )
    with client.socket:
        sender.start()
        assert client.receive_to_goodbye() == data
        sender.join(DEADLINE)
    service = wait_until(lambda: (s := sockd.service("s"))["closed"] and s)
    assert (service["bytes_in"], service["bytes_out"], service["active"]) == (size, size, 0)


GREETER = """
from zope.interface import implementer
from sockd.interfaces import IReply
class Greeting:
    done = False
    def greet(self):
        return b"hello"
    def answer(self, data):
        return data
@implementer(IReply)
class Greeter:
    name, identity, options = "greeter", False, ()
    def converse(self, service, peer):
        return Greeting()
greeter = Greeter()
"""


@pytest.mark.parametrize("sort", ["tcp", "tls"])
def test_a_greeting_comes_before_anything_is_asked(
    run_sockd: RunSockd, tls_files: TLSFiles, tmp_path: Path, sort: str
) -> None:
    plugin = tmp_path / "path" / "sockd" / "plugins" / "greeter.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(GREETER, encoding="utf-8")
    path = os.pathsep.join((str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")))
    endpoint = tls_files.endpoint(0) if sort == "tls" else "tcp:0:interface=127.0.0.1"
    sockd = run_sockd(
        ini("tcp", endpoint).replace(STATS, "reply = greeter\n"), environment={"PYTHONPATH": path}
    )
    client = connect(sockd.port("s"))
    if sort == "tls":
        client = tls_files.client_context().wrap_socket(client, server_hostname="localhost")
    with client:
        assert receive(client, 5) == b"hello"
        assert ask(client, b"and more") == b"and more"


@pytest.mark.dependencies
def test_somebody_who_does_not_speak_tls_is_counted_and_no_traceback(
    run_sockd: RunSockd, tls_files: TLSFiles
) -> None:
    sockd = run_sockd(ini("multi", tls_files.endpoint(0)))
    with connect(sockd.port("s")) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        receive_to_end(client)
    wait_until(lambda: sockd.service("s")["closed"] == 1)
    assert "Traceback" not in sockd.output


@pytest.mark.parametrize("kind", KINDS)
def test_unix_sockets_are_their_owners_alone(
    run_sockd: RunSockd, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "lab.sock"
    sockd = run_sockd(ini(kind, f"unix:{path}"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert ask(client, b"hello") == b"hello"
        [row] = sockd.get("/connections")["connections"]
        assert row["transport"] == "unix"
        assert row["local"] == {"host": str(path), "port": None}
        assert (row["display_filter"], row["tcp"]) == (None, None)
    sockd.stop()
    assert not path.exists()


def test_clients_who_wait_at_a_unix_socket_are_counted(run_sockd: RunSockd, tmp_path: Path) -> None:
    path = tmp_path / "lab.sock"
    sockd = run_sockd(ini("tcp", f"unix:{path}"))
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(str(path))
        second.connect(str(path))
        wait_until(lambda: sockd.service("s")["listeners"][0]["waiting"] == 1)


def test_a_unix_client_that_just_closes_is_no_reset(run_sockd: RunSockd, tmp_path: Path) -> None:
    path = tmp_path / "lab.sock"
    sockd = run_sockd(ini("multi", f"unix:{path}"))
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert ask(client, b"hello") == b"hello"
    wait_until(lambda: sockd.service("s")["closed"] == 5)
    rows = sockd.get("/connections?state=closed")["connections"]
    assert {row["reason"] for row in rows} == {"eof"}


def test_a_unix_socket_opens_as_wide_as_its_endpoint_says(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    path = tmp_path / "lab.sock"
    run_sockd(ini("multi", f"unix:{path}:mode=660"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_relative_unix_socket_is_beside_the_ini_file(run_sockd: RunSockd) -> None:
    sockd = run_sockd(ini("multi", "unix:lab.sock"), options=("--rundir=/",))
    assert (sockd.folder / "lab.sock").exists()


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="lab")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["index=0", "name=lab"])
def test_systemd_passes_a_socket(run_sockd: RunSockd, kind: str, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        passed.setblocking(False)
        port = passed.getsockname()[1]
        sockd = run_sockd(
            ini(kind, f"systemd:domain=INET:{which}"),
            command=(sys.executable, "-c", ACTIVATE, str(passed.fileno()), TWISTD),
            pass_fds=(passed.fileno(),),
        )
    assert sockd.port("s") == port
    with connect(port) as client:
        assert ask(client, b"activated") == b"activated"
        assert sockd.service("s")["active"] == 1


def test_several_endpoints_of_one_service(run_sockd: RunSockd, tls_files: TLSFiles) -> None:
    endpoints = f"\n  tcp:0:interface=127.0.0.1\n  {tls_files.endpoint(0)}"
    sockd = run_sockd(ini("multi", endpoints))
    plain, tls = sockd.service("s")["listeners"]
    assert (plain["transport"], tls["transport"]) == ("tcp", "tls")
    context = ssl.create_default_context(cafile=str(tls_files.certificate))
    with (
        connect(plain["port"]) as one,
        context.wrap_socket(connect(tls["port"]), server_hostname="localhost") as two,
    ):
        assert ask(one, b"plain") == b"plain"
        assert ask(two, b"secret") == b"secret"
        assert sockd.service("s")["active"] == 2
