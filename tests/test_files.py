"""Configured files must be regular files: a pipe or a device never blocks the daemon."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from signal import SIGHUP

import pytest

from sockd.errors import InvalidValue
from sockd.support.files import LARGEST_FILE, content
from tests.certificates import TLSFiles
from tests.conftest import RunSockd
from tests.harness import run_twistd
from tests.test_reload import reload

ONE = "[service:one]\nkind = multi\nlisten = tcp:0:interface=127.0.0.1\n"
STATS = "[stats]\nlisten = tcp:0:interface=127.0.0.1\n"
ADMIN = "[admin]\nssh = tcp:0:interface=127.0.0.1\n"
TLS = "[service:tls]\nkind = multi\nlisten = ssl:0:privateKey={key}:certKey={certificate}"

OPTIONS = {
    "authorized_keys": f"{ADMIN}authorized_keys = {{odd}}\n",
    "passwd": f"{ADMIN}passwd = {{odd}}\n",
    "viewers": f"{ADMIN}viewers = {{odd}}\n",
    "host_key": f"{ADMIN}host_key = {{odd}}\n",
    "privateKey": TLS.format(key="{odd}", certificate="{certificate}"),
    "certKey": TLS.format(key="{key}", certificate="{odd}"),
    "extraCertChain": f"{TLS}:extraCertChain={{odd}}\n",
    "dhParameters": f"{TLS}:dhParameters={{odd}}\n",
    "stats": "[stats]\nlisten = ssl:0:privateKey={odd}:interface=127.0.0.1\n",
}
"""Configurations in which each option that names a file names an irregular one."""


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_names_a_pipe_is_an_error(
    tmp_path: Path, tls_files: TLSFiles, option: str
) -> None:
    pipe = tmp_path / "pipe.pem"
    os.mkfifo(pipe)
    text = OPTIONS[option].format(odd=pipe, key=tls_files.key, certificate=tls_files.certificate)
    (tmp_path / "sockd.ini").write_text(ONE + text, encoding="utf-8")
    done = run_twistd("-n", "sockd", "-c", "sockd.ini", "--check", folder=tmp_path)
    [line] = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("sockd.ini:")
    assert f"'{pipe}' cannot be read: it is a pipe, not a regular file" in line


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe", "cannot be read: it is a pipe, not a regular file"),
        ("socket", "cannot be read: it is a socket, not a regular file"),
        ("/dev/zero", "cannot be read: it is a device, not a regular file"),
        (".", "cannot be read: Is a directory"),
        ("nowhere", "cannot be read: No such file or directory"),
        ("huge", "is longer than 1048576 bytes"),
        ("a\0b", "cannot be read: .*null"),
    ],
)
def test_only_regular_files_of_some_size_are_read(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(InvalidValue, match=message):
            content(tmp_path / name)


@pytest.mark.parametrize("options", [("--check",), ()], ids=["check", "run"])
@pytest.mark.parametrize(
    ("name", "sort"), [("pipe", "a pipe"), ("/dev/zero", "a device"), ("/dev/stdin", "a pipe")]
)
def test_a_configuration_that_is_no_regular_file_is_an_error(
    tmp_path: Path, options: tuple[str, ...], name: str, sort: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run_twistd("-n", "sockd", "-c", name, *options, folder=tmp_path, stdin=ONE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{name}:1: the file cannot be read: it is {sort}, not a regular file"
        " (it must be a regular file)\n"
    )


def test_a_reload_does_not_wait_for_a_pipe_in_place_of_the_file(run_sockd: RunSockd) -> None:
    sockd = run_sockd(ONE + STATS)
    sockd.file.unlink()
    os.mkfifo(sockd.file)
    sockd.send_signal(SIGHUP)
    sockd.wait_for("it is a pipe, not a regular file")
    sockd.wait_for("Nothing was changed")
    assert sockd.service("one")["state"] == "listening"
    assert "kept 1" in reload(sockd, ONE + STATS)


@pytest.mark.parametrize("name", ["ssh_host_ed25519_key", "admin.htpasswd"])
def test_a_pipe_in_the_state_directory_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "var").mkdir(0o700)
    os.mkfifo(tmp_path / "var" / name)
    (tmp_path / "sockd.ini").write_text(f"[sockd]\nstate = var\n{ONE}{ADMIN}", encoding="utf-8")
    done = run_twistd("-n", "sockd", "-c", "sockd.ini", folder=tmp_path)
    assert done.returncode == 1
    assert f"{name} cannot be read: it is a pipe, not a regular file" in done.stderr


def test_a_file_of_the_largest_size_is_read_whole(tmp_path: Path) -> None:
    data = os.urandom(LARGEST_FILE)
    (tmp_path / "file").write_bytes(data)
    assert content(tmp_path / "file") == data


def test_the_name_of_a_file_is_told_whole_and_printable(tmp_path: Path) -> None:
    path = tmp_path / f"{'long' * 50}\x1b[2J"
    with pytest.raises(InvalidValue) as raised:
        content(path)
    assert f"{'long' * 50}\\x1b[2J' cannot be read: " in raised.value.message
