"""The file of a unix socket: stale ones are replaced, live ones are kept, own ones are removed."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from sockd.net.unix_file import bind_file
from tests.clients import ask
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, environment_for, wait_until
from tests.users import AS_NOBODY, UNMEASURED, as_root, public_folder

STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"


def service(endpoint: str, name: str = "s") -> str:
    return f"[service:{name}]\nkind = multi\nlisten = {endpoint}\n"


def failed_start(folder: Path, ini: str, command: tuple[str, ...] = (TWISTD,)) -> str:
    """Return the error line of a daemon that cannot start."""
    (folder / "sockd.ini").write_text(ini, encoding="utf-8")
    done = subprocess.run(
        [*command, "-n", "sockd", "-c", "sockd.ini"],
        cwd=folder,
        env=environment_for(folder, UNMEASURED),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@contextmanager
def unix_socket(
    path: Path, kind: socket.SocketKind = socket.SOCK_STREAM
) -> Iterator[socket.socket]:
    """Bind a socket; the file stays."""
    with socket.socket(socket.AF_UNIX, kind) as bound:
        bound.bind(str(path))
        yield bound


def leave_behind(path: Path) -> None:
    """Create a stale socket."""
    with unix_socket(path) as bound:
        bound.listen()


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(str(path))
        return ask(client, b"hello") == b"hello"


def left_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the contents of a folder: names, inodes and modes."""
    stats = {one.name: one.lstat() for one in folder.iterdir()}
    return {name: (found.st_ino, found.st_mode) for name, found in stats.items()}


def test_after_a_kill_the_next_start_takes_the_path_over(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "u.sock"
    first = run_sockd(service(f"unix:{path}"))
    first.stop(signal.SIGKILL)
    assert stat.S_ISSOCK(path.lstat().st_mode)
    second = run_sockd(service(f"unix:{path}:mode=660"))
    assert answers(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert second.stop() == 0
    assert list(folder.iterdir()) == []


def test_a_lock_that_names_a_living_process_does_not_matter(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    path = tmp_path / "u.sock"
    leave_behind(path)
    lock = tmp_path / "u.sock.lock"
    lock.symlink_to(str(os.getpid()))
    sockd = run_sockd(service(f"unix:{path}"))
    assert answers(path)
    assert sockd.stop() == 0
    assert lock.is_symlink()
    assert not path.exists()


@as_root
@pytest.mark.network
def test_as_process_one_of_a_container_it_starts_again_after_a_kill(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    path = tmp_path / "u.sock"
    contained = (tool("unshare", "util-linux"), "--pid", "--fork", "--kill-child", TWISTD)
    for _ in range(2):
        sockd = run_sockd(service(f"unix:{path}"), command=contained)
        sockd.wait_for(r", process 1$")
        assert answers(path)
        sockd.stop(signal.SIGKILL)
        wait_until(lambda: not is_bound(path))
        assert stat.S_ISSOCK(path.lstat().st_mode)


def is_bound(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(str(path)) != errno.ECONNREFUSED


@as_root
@pytest.mark.network
def test_a_live_socket_of_another_container_is_left_alone(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "u.sock"
    path.parent.mkdir()
    words = (tool("unshare", "util-linux"), "--pid", "--net", "--fork", "--kill-child", TWISTD)
    sockd = run_sockd(service(f"unix:{path}"), command=words)
    before = left_in(path.parent)
    said = failed_start(tmp_path, service(f"unix:{path}"))
    assert "another process has a socket there, `ss -xlp` shows which" in said
    assert left_in(path.parent) == before
    assert answers(path)
    sockd.stop(signal.SIGKILL)


def test_a_second_daemon_does_not_disturb_the_first(run_sockd: RunSockd, tmp_path: Path) -> None:
    path = tmp_path / "run" / "u.sock"
    path.parent.mkdir()
    sockd = run_sockd(service(f"unix:{path}") + STATS)
    before = left_in(path.parent)
    for _ in range(2):
        said = failed_start(tmp_path, service(f"unix:{path}"))
        assert "cannot be bound: Address already in use (another process has a socket" in said
    assert left_in(path.parent) == before
    assert sockd.service("s")["opened"] == 0
    assert answers(path)


@pytest.mark.parametrize("sort", ["not-listening", "full", "datagram", "seqpacket"])
def test_every_live_socket_is_left_alone(tmp_path: Path, sort: str) -> None:
    path = tmp_path / "run" / "u.sock"
    path.parent.mkdir()
    kinds = {"datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}
    with ExitStack() as stack:
        bound = stack.enter_context(unix_socket(path, kinds.get(sort, socket.SOCK_STREAM)))
        if sort in ("full", "seqpacket"):
            bound.listen(0)
        if sort == "full":
            for _ in range(3):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect(str(path))
        before = left_in(path.parent)
        assert "another process has a socket there" in failed_start(
            tmp_path, service(f"unix:{path}")
        )
        assert left_in(path.parent) == before


@pytest.mark.parametrize("sort", ["file", "folder", "link", "link-to-a-stale-socket", "pipe"])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, sort: str) -> None:
    path = tmp_path / "run" / "u.sock"
    path.parent.mkdir()
    if sort == "file":
        path.write_text("precious", encoding="utf-8")
    elif sort == "folder":
        path.mkdir()
    elif sort == "pipe":
        os.mkfifo(path)
    else:
        other = tmp_path / "other"
        if sort == "link-to-a-stale-socket":
            leave_behind(other)
        path.symlink_to(other)
    before = left_in(path.parent), (tmp_path / "other").exists()
    said = failed_start(tmp_path, service(f"unix:{path}"))
    assert "File exists (sockd does not remove the file there" in said
    assert (left_in(path.parent), (tmp_path / "other").exists()) == before


def test_a_stale_socket_stays_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "u.sock"
    leave_behind(path)
    assert "File exists" in failed_start(tmp_path, service(f"unix:{path}:lockfile=0"))
    assert path.exists()


def test_a_path_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    said = failed_start(tmp_path, service(f"unix:{tmp_path}/{'u' * 108}"))
    assert "File name too long (the path of a unix socket has 107 bytes at most" in said


@as_root
@pytest.mark.parametrize(("mode", "is_stale"), [(0o555, True), (0o555, False), (0o000, True)])
def test_a_directory_that_one_may_not_write_to_is_one_line(mode: int, is_stale: bool) -> None:
    with public_folder() as folder:
        path = folder / "run" / "u.sock"
        path.parent.mkdir()
        if is_stale:
            leave_behind(path)
            path.chmod(0o666)
        path.parent.chmod(mode)
        said = failed_start(folder, service(f"unix:{path}"), (*AS_NOBODY, TWISTD))
        assert "Permission denied (the daemon's user may not write there" in said
        assert path.exists() == is_stale


@as_root
def test_a_socket_that_one_may_not_connect_to_is_left_alone() -> None:
    with public_folder() as folder:
        path = folder / "run" / "u.sock"
        path.parent.mkdir()
        path.parent.chmod(0o777)
        leave_behind(path)
        path.chmod(0o600)
        said = failed_start(folder, service(f"unix:{path}"), (*AS_NOBODY, TWISTD))
        assert "Permission denied (the daemon's user may not write there" in said
        assert path.exists()


def test_at_the_end_the_socket_of_a_successor_is_left_alone(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    path = tmp_path / "u.sock"
    first = run_sockd(service(f"unix:{path}"))
    path.unlink()
    run_sockd(service(f"unix:{path}"))
    assert first.stop() == 0
    assert answers(path)


def test_of_daemons_that_start_at_once_one_has_the_path(tmp_path: Path) -> None:
    path = tmp_path / "u.sock"
    together = threading.Barrier(8)

    def bound() -> socket.socket | int | None:
        made = socket.socket(socket.AF_UNIX)
        together.wait(DEADLINE)
        try:
            bind_file(made, path, replaces_stale=True)
        except OSError as error:
            made.close()
            return error.errno
        made.listen()
        return made

    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            leave_behind(path)
            results = list(pool.map(lambda _: bound(), range(8)))
            [owner] = [one for one in results if isinstance(one, socket.socket)]
            assert results.count(errno.EADDRINUSE) == 7
            with owner, socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            path.unlink()


def test_a_lock_on_the_directory_is_not_waited_for_without_end(tmp_path: Path) -> None:
    path = tmp_path / "u.sock"
    leave_behind(path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with socket.socket(socket.AF_UNIX) as made, pytest.raises(BlockingIOError):
            bind_file(made, path, replaces_stale=True)
        assert path.exists()
    finally:
        os.close(descriptor)
