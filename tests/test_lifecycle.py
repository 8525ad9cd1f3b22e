"""Start and stop: the order, the clean-up and the exit status."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients import LOOPBACK, ask, connect, receive_to_end, udp_client
from tests.conftest import RunSockd
from tests.harness import wait_until

ONE = "[service:multi]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_with_status_0(
    run_sockd: RunSockd, number: signal.Signals
) -> None:
    assert run_sockd(ONE).stop(number) == 0


def test_live_connections_may_finish_while_no_new_ones_are_accepted(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"[sockd]\ndrain = 20s\n{ONE}{STATS}")
    port = sockd.port("multi")
    with connect(port) as client:
        assert ask(client, b"before") == b"before"
        sockd.send_signal(signal.SIGTERM)
        sockd.wait_for("Draining: 1 open connections")
        assert ask(client, b"meanwhile") == b"meanwhile"
        wait_until(lambda: is_closed(port), "the port is closed")
        assert health(sockd.stats_url) == 503
        client.shutdown(socket.SHUT_WR)
        assert receive_to_end(client) == b""
    assert sockd.wait() == 0


def is_closed(port: int) -> bool:
    """Return whether a port is closed; it closes one reactor turn after the log line."""
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def health(url: str) -> int:
    host, port = url.removeprefix("http://").split(":")
    with connect(int(port), host) as client:
        client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return int(receive_to_end(client).split()[1])


def test_what_does_not_finish_in_time_is_closed(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"[sockd]\ndrain = 200ms\n{ONE}")
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"hello") == b"hello"
        sockd.send_signal(signal.SIGTERM)
        assert receive_to_end(client) == b""
    assert sockd.wait() == 0
    assert "stop, 5 bytes in, 5 out" in sockd.output


def test_a_second_signal_ends_the_draining(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"[sockd]\ndrain = 1h\n{ONE}")
    with connect(sockd.port("multi")) as client:
        assert ask(client, b"hello") == b"hello"
        sockd.send_signal(signal.SIGINT)
        sockd.wait_for("Draining")
        sockd.send_signal(signal.SIGINT)
        assert receive_to_end(client) == b""
    assert sockd.wait() == 0


def test_a_signal_that_comes_when_all_is_closed_does_not_change_the_exit_status(
    run_sockd: RunSockd,
) -> None:
    sockd = run_sockd(ONE)

    def ended() -> bool:
        sockd.send_signal(signal.SIGTERM)
        sockd.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            sockd.wait(0.001)
            return True
        return False

    wait_until(ended)
    assert sockd.wait() == 0


def test_a_unix_socket_that_somebody_removed_does_not_hold_the_shutdown(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    sockd = run_sockd(ONE.replace("tcp:0:interface=127.0.0.1", f"unix:{folder}/lab.sock") + STATS)
    (folder / "lab.sock").unlink()
    assert sockd.stop() == 0
    assert "was not closed cleanly: " in sockd.output
    assert list(folder.iterdir()) == []


def test_clients_in_the_queue_do_not_hold_the_shutdown(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"[sockd]\ndrain = 100ms\n{ONE.replace('= multi', '= tcp')}{STATS}")
    with connect(sockd.port("multi")) as first, connect(sockd.port("multi")):
        assert ask(first, b"x") == b"x"
        wait_until(lambda: sockd.service("multi")["listeners"][0]["waiting"] == 1)
        assert sockd.stop() == 0


def test_udp_stops_at_once(run_sockd: RunSockd) -> None:
    sockd = run_sockd(
        "[sockd]\ndrain = 1h\n[service:udp]\nkind = udp\nlisten = udp:0:interface=127.0.0.1\n"
    )
    with udp_client() as client:
        client.sendto(b"hello", (LOOPBACK, sockd.port("udp")))
        assert client.recv(100) == b"hello"
        assert sockd.stop() == 0
    assert "stop, 5 bytes in, 5 out" in sockd.output


@pytest.mark.parametrize("reactor", ["select", "poll", "asyncio"])
def test_the_core_works_under_other_reactors(run_sockd: RunSockd, reactor: str) -> None:
    udp = "[service:udp]\nkind = udp\nlisten = udp:0:interface=0.0.0.0\n"
    one = "[service:one]\nkind = tcp\nlisten = tcp:0:interface=127.0.0.1\n"
    sockd = run_sockd(ONE + one + udp + STATS, options=(f"--reactor={reactor}",))
    assert sockd.get("/stats")["daemon"]["reactor"] == reactor
    with connect(sockd.port("multi")) as client, udp_client() as datagrams:
        data = os.urandom(1_000_000)
        client.sendall(data[:1000])
        assert client.recv(1000)
        datagrams.sendto(data[:9000], ("127.0.0.2", sockd.port("udp")))
        assert datagrams.recv(65536) == data[:9000]
    with connect(sockd.port("one")) as first, connect(sockd.port("one")) as second:
        assert ask(first, b"one") == b"one"
        wait_until(lambda: sockd.service("one")["listeners"][0]["waiting"] == 1)
        first.close()
        assert ask(second, b"two") == b"two"
    assert sockd.stop() == 0


def test_the_state_directory_is_its_owners_alone(run_sockd: RunSockd) -> None:
    sockd = run_sockd(f"[sockd]\nstate = var\n{ONE}[admin]\nssh = tcp:0:interface=127.0.0.1\n")
    state: Path = sockd.folder / "var"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}
