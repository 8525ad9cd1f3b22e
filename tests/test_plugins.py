"""Plugins: a real package next to sockd, and the messages about faulty ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from socket import SHUT_WR

import pytest

from tests.clients import ask, connect, receive, receive_to_end, udp_client
from tests.conftest import RunSockd
from tests.fresh import REPOSITORY, FreshEnvironment, copy_of_the_tree, made_once
from tests.harness import DEADLINE, environment_for, wait_until

EXAMPLE = REPOSITORY / "tests" / "example_plugin"
SERVICES = """
[service:reversed]
kind = multi
listen = tcp:0:interface=127.0.0.1
reply = reverse

[service:datagrams]
kind = udp
listen = udp:0:interface=127.0.0.1
reply = reverse

[service:two]
kind = pair
listen = tcp:0:interface=127.0.0.1

[service:thrice]
kind = multi
listen = tcp:0:interface=127.0.0.1
reply = repeat
times = 3

[service:lines]
kind = lines
listen = tcp:0:interface=127.0.0.1
reply = reverse

[stats]
listen = tcp:0:interface=127.0.0.1
"""
HALF_A_REPLY = """\
from zope.interface import implementer
from sockd.interfaces import IReply
@implementer(IReply)
class Half:
    name = "half"
half = Half()
"""
ONE = "[service:one]\nkind = tcp\nlisten = tcp:0:interface=127.0.0.1\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """Return an environment with sockd and the example plugin in its own package."""

    def make(folder: Path) -> None:
        copy = copy_of_the_tree(folder)
        FreshEnvironment(folder / "venv").create().install(copy, copy / "tests" / "example_plugin")

    return FreshEnvironment(made_once(tmp_path_factory, "plugins", make) / "venv")


def check(
    environment: FreshEnvironment, folder: Path, ini: str, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run sockd with a configuration that it must reject."""
    (folder / "sockd.ini").write_text(ini, encoding="utf-8")
    return subprocess.run(
        [environment.twistd, "-n", "sockd", "-c", "sockd.ini"],
        cwd=folder,
        env=environment_for(folder, {"PYTHONPATH": str(path or "")}),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


def plugin(folder: Path, name: str, text: str) -> Path:
    """Write a plugin into a folder for Python's path; return its file."""
    file = folder / "path" / "sockd" / "plugins" / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_the_page_about_plugins_shows_the_example_as_it_is() -> None:
    page = (REPOSITORY / "docs" / "plugins.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    names = ("pyproject.toml", "setup.cfg", "sockd/plugins/*.py")
    files = [file for name in names for file in EXAMPLE.glob(name)]
    assert shown == {
        file.relative_to(EXAMPLE).as_posix(): file.read_text(encoding="utf-8") for file in files
    }


def test_a_reply_from_a_package_answers_streams_and_datagrams(
    environment: FreshEnvironment, run_sockd: RunSockd
) -> None:
    sockd = run_sockd(SERVICES, command=(environment.twistd,))
    with connect(sockd.port("reversed")) as client:
        assert ask(client, b"abc") == b"cba"
    with udp_client() as client:
        client.sendto(b"abc", ("127.0.0.1", sockd.port("datagrams")))
        assert client.recv(100) == b"cba"


def test_a_kind_from_a_package_serves_two_while_the_third_waits(
    environment: FreshEnvironment, run_sockd: RunSockd
) -> None:
    sockd = run_sockd(SERVICES, command=(environment.twistd,))
    port = sockd.port("two")
    with connect(port) as first, connect(port) as second, connect(port) as third:
        assert ask(first, b"one") == b"one"
        assert ask(second, b"two") == b"two"
        third.sendall(b"three")
        wait_until(lambda: sockd.service("two")["listeners"][0]["waiting"] == 1)
        assert sockd.service("two")["active"] == 2
        first.close()
        assert receive(third, 5) == b"three"


def test_a_kind_from_scratch_answers_whole_lines_and_counts_every_byte(
    environment: FreshEnvironment, run_sockd: RunSockd
) -> None:
    sockd = run_sockd(SERVICES, command=(environment.twistd,))
    with connect(sockd.port("lines")) as client, connect(sockd.port("lines")) as other:
        client.sendall(b"ab")
        assert ask(other, b"xy\n") == b"yx\n"
        client.sendall(b"c\ndef\nno end")
        assert receive(client, 8) == b"cba\nfed\n"
        client.shutdown(SHUT_WR)
        assert receive_to_end(client) == b""
        wait_until(lambda: sockd.service("lines")["ends"] == {"eof": 1})
        other.sendall(b"a line that is too long" * 1000)
        assert receive_to_end(other) == b""
    wait_until(lambda: sockd.service("lines")["closed"] == 2)
    shown = sockd.service("lines")
    assert shown["ends"] == {"eof": 1, "error": 1}
    assert (shown["bytes_out"], shown["writes"]) == (11, 3)


def test_a_kind_from_scratch_stops_reading_from_a_client_that_does_not_read(
    environment: FreshEnvironment, run_sockd: RunSockd
) -> None:
    sockd = run_sockd(SERVICES, command=(environment.twistd,))
    lines = b"x" * 1000 + b"\n"
    with connect(sockd.port("lines")) as client:
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.sendall(lines * 100_000)
        assert sockd.service("lines")["bytes_in"] < 50_000_000
        [connection] = sockd.get("/connections?service=lines")["connections"]
        assert sockd.stop() == 0
        assert connection["state"] == "open"


def test_a_plugin_has_an_option_of_its_own(
    environment: FreshEnvironment, run_sockd: RunSockd
) -> None:
    sockd = run_sockd(SERVICES, command=(environment.twistd,))
    with connect(sockd.port("thrice")) as client:
        client.sendall(b"ho ")
        assert receive(client, 9) == b"ho ho ho "


def test_a_wrong_value_of_a_plugins_option_is_named_with_its_line(
    environment: FreshEnvironment, tmp_path: Path
) -> None:
    done = check(environment, tmp_path, ONE + "reply = repeat\ntimes = eleven\n")
    assert done.returncode == 1
    assert done.stderr.startswith("sockd.ini:5: [service:one] times: 'eleven' ")
    assert done.stderr.count("\n") == 1


def test_an_option_of_another_plugin_is_unknown(
    environment: FreshEnvironment, tmp_path: Path
) -> None:
    done = check(environment, tmp_path, ONE + "reply = reverse\ntimes = 3\n")
    assert done.returncode == 1
    assert done.stderr.startswith("sockd.ini:5: [service:one] times: unknown option ")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\nimport nothing_of_this_name\n", 2, "nothing_of_this_name"),
        ("x = 1\n\ndef (:\n", 3, "SyntaxError"),
        ("raise RuntimeError('on\\npurpose')\n", 1, "RuntimeError: on purpose"),
        (HALF_A_REPLY, 1, "'half' is not a valid IReply"),
    ],
    ids=["import", "syntax", "exception", "half"],
)
def test_a_broken_plugin_is_one_line_with_its_file(
    environment: FreshEnvironment, tmp_path: Path, text: str, line: int, said: str
) -> None:
    file = plugin(tmp_path, "broken", text)
    done = check(environment, tmp_path, ONE, tmp_path / "path")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{file}:{line}: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Bind" not in done.stdout


def test_two_plugins_of_one_name_are_named_both(
    environment: FreshEnvironment, tmp_path: Path
) -> None:
    text = (EXAMPLE / "sockd" / "plugins" / "reverse.py").read_text(encoding="utf-8")
    file = plugin(tmp_path, "also_reverse", text)
    done = check(environment, tmp_path, ONE, tmp_path / "path")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(file) in done.stderr
    assert str(environment.packages / "sockd" / "plugins" / "reverse.py") in done.stderr
    assert "'reverse'" in done.stderr
