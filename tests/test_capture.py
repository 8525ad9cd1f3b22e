"""The capture of a running daemon: files, status, live stream and errors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.clients import ask, connect
from tests.conftest import RunSockd, ToolFinder
from tests.harness import DEADLINE, TWISTD, Sockd, wait_until
from tests.support_admin import SSH
from tests.wireshark import Tshark, needs_dumpcap

LAB = """
[service:echo]
kind = multi
listen = tcp:0:interface=127.0.0.1
[stats]
listen = tcp:0:interface=127.0.0.1
"""
CAPTURE = "[capture]\ndirectory = captures\nstart = yes\n"


def state(lab: Sockd) -> Any:
    """Return how the capture goes."""
    return lab.get("/capture")


def capturing(lab: Sockd) -> Sockd:
    wait_until(lambda: state(lab)["state"] == "capturing", lab.output)
    return lab


def failed(lab: Sockd) -> str:
    """Return why the capture failed, once it has; the log has it too, and echo works."""
    wait_until(lambda: state(lab)["state"] == "failed", lab.output)
    error: str = state(lab)["error"]
    lab.wait_for(re.escape(error))
    assert_echoes(lab)
    return error


def assert_echoes(lab: Sockd) -> None:
    with connect(lab.port("echo")) as client:
        assert ask(client, b"hello") == b"hello"


def children(pid: int) -> list[int]:
    """Return the processes that a process started and has not reaped."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def refused(lab: Sockd, path: str) -> tuple[int, str]:
    """Return the status and the text of an error."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        lab.get(path)
    with caught.value as answer:
        return answer.code, answer.read().decode()


@pytest.fixture
def captures(tool: ToolFinder) -> None:
    """Skip where nothing can be captured."""
    needs_dumpcap(tool)


def test_without_the_section_there_is_no_capture(run_sockd: RunSockd) -> None:
    lab = run_sockd(LAB)
    for path in ("/capture", "/capture.pcapng"):
        assert refused(lab, path) == (
            404,
            '{\n  "error": "the configuration has no [capture] section"\n}\n',
        )


def test_nobody_may_watch_unless_the_section_says_so(run_sockd: RunSockd) -> None:
    lab = run_sockd(LAB + "[capture]\n")
    status, text = refused(lab, "/capture.pcapng")
    assert (status, "live = yes" in text) == (404, True)
    assert state(lab)["state"] == "stopped"
    assert not (lab.folder / "state").exists()


def test_without_dumpcap_the_error_says_what_to_install(run_sockd: RunSockd) -> None:
    lab = run_sockd(LAB + CAPTURE + "live = yes\n", environment={"PATH": "/nowhere"})
    error = failed(lab)
    assert "[capture]: dumpcap is not installed (Debian: apt-get install wireshark" in error
    status, text = refused(lab, "/capture.pcapng")
    assert (status, "not installed" in text) == (503, True)


def test_a_dumpcap_that_this_user_may_not_run_is_not_missing(
    run_sockd: RunSockd, tmp_path: Path
) -> None:
    (tmp_path / "dumpcap").write_text("", encoding="ascii")
    lab = run_sockd(LAB + CAPTURE, environment={"PATH": str(tmp_path)})
    assert "this user may not run dumpcap (Debian: dpkg-reconfigure wireshark" in failed(lab)


@pytest.mark.usefixtures("captures")
def test_without_permission_the_error_says_how_to_get_it(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    without = (tool("setpriv", "util-linux"), "--bounding-set", "-net_raw,-net_admin")
    lab = run_sockd(LAB + CAPTURE + "live = yes\n", command=(*without, TWISTD))
    error = failed(lab)
    assert "no permission to capture (Debian: dpkg-reconfigure wireshark-common" in error
    assert "setcap cap_net_raw,cap_net_admin=eip" in error
    status, text = refused(lab, "/capture.pcapng")
    assert (status, "no permission" in text) == (503, True)
    assert state(lab)["viewers"] == 0


@pytest.mark.usefixtures("captures")
def test_an_interface_that_is_not_there_is_named(run_sockd: RunSockd) -> None:
    lab = run_sockd(LAB + CAPTURE + "interface = nonesuch0\n")
    assert "[capture] interface: unknown interface (`ip link` lists" in failed(lab)


@pytest.mark.usefixtures("captures")
def test_an_interface_that_goes_away_is_named(run_sockd: RunSockd, tool: ToolFinder) -> None:
    tool("ip", "iproute2")
    name = f"sk{uuid.uuid4().hex[:8]}"
    pair = ("type", "veth", "peer", "name", f"{name}b")
    subprocess.run(["ip", "link", "add", name, *pair], check=True, timeout=DEADLINE)
    try:
        subprocess.run(["ip", "link", "set", name, "up"], check=True, timeout=DEADLINE)
        lab = capturing(run_sockd(LAB + CAPTURE + f"interface = {name}\n"))
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True, timeout=DEADLINE)
    assert "[capture] interface: the interface is gone or down" in failed(lab)


@pytest.mark.usefixtures("captures")
def test_a_directory_that_is_none_is_named(run_sockd: RunSockd) -> None:
    lab = run_sockd(LAB + "[capture]\nstart = yes\ndirectory = sockd.ini\n")
    assert "[capture] directory: " in failed(lab)


@pytest.mark.usefixtures("captures")
def test_a_directory_that_others_can_read_is_refused(run_sockd: RunSockd, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    lab = run_sockd(LAB + f"[capture]\nstart = yes\ndirectory = {tmp_path}\n")
    assert f"is open to other users, mode 0755 (chmod 700 {tmp_path}" in failed(lab)


@pytest.mark.usefixtures("captures")
def test_a_full_disk_ends_the_capture_and_nothing_else(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [tool("mount"), "-t", "tmpfs", "-o", "size=64k,mode=700", "none", str(disk)]
    subprocess.run(mount, check=True, timeout=DEADLINE)
    try:
        options = f"[capture]\nstart = yes\npayload = yes\ndirectory = {disk}\n"
        lab = capturing(run_sockd(LAB + options))
        with connect(lab.port("echo")) as client:
            for _ in range(100):
                assert len(ask(client, bytes(10_000))) == 10_000
        assert "No space left on device (the disk is full: make room" in failed(lab)
        assert children(lab.pid) == []
        (file,) = disk.iterdir()
        assert all(packet.protocol == "tcp" for packet in Tshark(tool("tshark"), file).packets())
    finally:
        subprocess.run([tool("umount"), str(disk)], check=True, timeout=DEADLINE)


@pytest.mark.usefixtures("captures")
def test_a_killed_dumpcap_is_an_error_and_no_zombie(run_sockd: RunSockd) -> None:
    lab = capturing(run_sockd(LAB + CAPTURE))
    (child,) = children(lab.pid)
    os.kill(child, signal.SIGKILL)
    assert "dumpcap ended with signal 9 (capture.start() in the admin shell" in failed(lab)
    assert children(lab.pid) == []


@pytest.mark.usefixtures("captures")
def test_dumpcap_ends_with_a_daemon_that_was_killed(run_sockd: RunSockd) -> None:
    """It ends with the next packet that it sees: somebody tries the port in vain."""
    lab = capturing(run_sockd(LAB + CAPTURE))
    port = lab.port("echo")
    (child,) = children(lab.pid)
    assert lab.stop(signal.SIGKILL) == -signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    wait_until(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    """Return whether there is such a process, zombies aside."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.usefixtures("captures")
def test_the_shell_begins_and_ends_it_and_the_filter_follows_the_ports(
    run_sockd: RunSockd, tool: ToolFinder, tmp_path: Path
) -> None:
    lab = run_sockd(LAB + "[capture]\n[admin]\nssh = tcp:0:interface=127.0.0.1\n")
    password = lab.first_password
    ssh = SSH(tool("ssh", "openssh-client"), tmp_path, lab.ssh_port)
    first = lab.port("echo")

    def shell(command: str) -> str:
        done = ssh.run(command, password=password, options=ssh.password_options())
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "capturing" in shell("capture.start()")
    assert f"tcp dst port {first})" in state(lab)["filter"]
    shell("stop('echo'); start('echo')")
    moved = lab.service("echo")["listeners"][0]["port"]
    wait_until(lambda: f"tcp dst port {moved})" in (state(lab)["filter"] or ""))
    lab.wait_for(rf"Capturing on any into .* tcp dst port {moved}\)")
    with connect(moved) as client:
        assert ask(client, b"hello") == b"hello"
    said = shell("capture.stop()")
    assert "stopped" in said
    assert children(lab.pid) == []
    files = sorted((lab.folder / "state" / "sockd" / "captures").iterdir())
    assert all(file.name in said for file in files)
    packets = Tshark(tool("tshark"), files[-1]).packets()
    assert all(moved in {one.source[1], one.target[1]} for one in packets)
    assert sum(one.payload for one in packets) == 10


class Viewer:
    """``curl | tshark``, as people type it.

    :ivar has_begun: set once something came, which dumpcap writes when its filter is set.
    """

    def __init__(self, lab: Sockd, tool: ToolFinder) -> None:
        self.has_begun = threading.Event()
        self._curl = subprocess.Popen(
            [tool("curl"), "-sN", f"{lab.stats_url}/capture.pcapng"], stdout=subprocess.PIPE
        )
        self._tshark = subprocess.Popen(
            [tool("tshark"), "-l", "-n", "-r", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._pipe = threading.Thread(target=self._carry, daemon=True)
        self._pipe.start()

    def line(self) -> bytes:
        """Return the next packet."""
        assert self._tshark.stdout is not None
        return self._tshark.stdout.readline()

    def leave(self) -> None:
        """End both."""
        self._curl.kill()
        self._pipe.join(DEADLINE)
        for process in (self._curl, self._tshark):
            process.communicate(timeout=DEADLINE)

    def _carry(self) -> None:
        assert self._curl.stdout is not None
        assert self._tshark.stdin is not None
        while data := os.read(self._curl.stdout.fileno(), 65536):
            self._tshark.stdin.write(data)
            self._tshark.stdin.flush()
            self.has_begun.set()


@pytest.mark.usefixtures("captures")
def test_wireshark_opens_on_the_running_lab(run_sockd: RunSockd, tool: ToolFinder) -> None:
    lab = run_sockd(LAB + "[capture]\nlive = yes\n")
    viewer = Viewer(lab, tool)
    assert viewer.has_begun.wait(DEADLINE)
    assert state(lab)["viewers"] == 1
    assert_echoes(lab)
    assert b"[SYN]" in viewer.line()
    assert b"[SYN, ACK]" in viewer.line()
    viewer.leave()
    wait_until(lambda: children(lab.pid) == [])
    assert state(lab)["viewers"] == 0
    assert state(lab)["files"] == []


@pytest.mark.usefixtures("captures")
def test_only_a_few_may_watch_and_a_head_is_no_viewer(
    run_sockd: RunSockd, tool: ToolFinder
) -> None:
    lab = run_sockd(LAB + "[capture]\nlive = yes\n")
    url = f"{lab.stats_url}/capture.pcapng"
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=DEADLINE) as it:
        assert it.headers["Content-Type"] == "application/x-pcapng"
    assert children(lab.pid) == []
    answers = [urllib.request.urlopen(url, timeout=DEADLINE) for _ in range(4)]
    assert refused(lab, "/capture.pcapng")[0] == 503
    for answer in answers:
        answer.close()
    wait_until(lambda: state(lab)["viewers"] == 0)
    assert children(lab.pid) == []


@pytest.mark.usefixtures("captures")
def test_the_end_of_the_daemon_is_the_end_of_every_dumpcap(run_sockd: RunSockd) -> None:
    lab = capturing(run_sockd(LAB + CAPTURE + "live = yes\n"))
    with urllib.request.urlopen(f"{lab.stats_url}/capture.pcapng", timeout=DEADLINE) as answer:
        wait_until(lambda: len(children(lab.pid)) == 2)
        pids = children(lab.pid)
        assert lab.stop() == 0
        answer.read()
    assert not any(map(is_running, pids))
