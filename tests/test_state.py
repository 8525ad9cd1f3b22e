"""The state directory is private, and created when it is needed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest import mock

import pytest

from sockd.errors import ConfigurationError, SourceLocation
from sockd.process.state import HOST_KEY, PASSWORD, StateDirectory, default_path

PLACE = SourceLocation("lab.ini", 3, "sockd", "state")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def state_in(path: Path) -> StateDirectory:
    return StateDirectory(path, PLACE)


def refusal_of(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        state_in(path).keep(HOST_KEY, b"key")
    return str(caught.value)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "linux", "/var/lib/a"),
        ({"STATE_DIRECTORY": "/a", "XDG_STATE_HOME": "/x"}, "linux", "/a"),
        ({"XDG_STATE_HOME": "/x"}, "linux", "/x/sockd"),
        ({"XDG_STATE_HOME": "relative"}, "linux", "~/.local/state/sockd"),
        ({}, "linux", "~/.local/state/sockd"),
        ({}, "darwin", "~/Library/Application Support/sockd"),
        ({"LOCALAPPDATA": "/local"}, "win32", "/local/sockd"),
        ({}, "win32", "~/AppData/Local/sockd"),
    ],
)
def test_the_default_is_where_the_system_keeps_state(
    environment: dict[str, str], platform: str, expected: str
) -> None:
    assert default_path(environment, platform) == Path(expected).expanduser()


def test_without_a_path_it_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert StateDirectory(None).path == tmp_path


def test_reading_makes_nothing(tmp_path: Path) -> None:
    state = state_in(tmp_path / "state")
    assert state.read(HOST_KEY) is None
    assert not (tmp_path / "state").exists()


def test_what_is_kept_is_private_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    state = state_in(folder)
    assert state.keep(HOST_KEY, b"key") == b"key"
    assert state_in(folder).read(HOST_KEY) == b"key"
    assert state.read(PASSWORD) is None
    assert mode(folder) == 0o700
    assert mode(folder / HOST_KEY) == 0o600
    assert [entry.name for entry in folder.iterdir()] == [HOST_KEY]


def test_who_keeps_second_gets_what_the_first_kept(tmp_path: Path) -> None:
    state = state_in(tmp_path / "state")
    state.keep(HOST_KEY, b"first")
    assert state.keep(HOST_KEY, b"second") == b"first"
    assert [entry.name for entry in (tmp_path / "state").iterdir()] == [HOST_KEY]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path) -> None:
    state = state_in(tmp_path / "state")
    with mock.patch("os.link", side_effect=PermissionError):
        assert state.keep(HOST_KEY, b"key") == b"key"
    assert mode(tmp_path / "state" / HOST_KEY) == 0o600


@pytest.mark.parametrize("names", [[], [HOST_KEY], [HOST_KEY, PASSWORD]])
def test_an_open_directory_of_ours_is_closed(tmp_path: Path, names: list[str]) -> None:
    tmp_path.chmod(0o755)
    for name in names:
        (tmp_path / name).write_bytes(b"kept")
    assert state_in(tmp_path).keep("other", b"data") == b"data"
    assert mode(tmp_path) == 0o700


def test_an_open_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "thesis.tex").touch()
    said = refusal_of(tmp_path)
    assert said.startswith("lab.ini:3: [sockd] state: ")
    assert "mode 0777" in said
    assert f"chmod 700 {tmp_path}" in said
    assert mode(tmp_path) == 0o777
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_is_read_from_a_directory_that_others_write_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "thesis.tex").touch()
    (tmp_path / HOST_KEY).write_bytes(b"planted")
    with pytest.raises(ConfigurationError, match="chmod 700"):
        state_in(tmp_path).read(HOST_KEY)


def test_an_open_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with mock.patch("os.geteuid", return_value=os.geteuid() + 1):
        assert "chmod 700" in refusal_of(tmp_path)
    assert mode(tmp_path) == 0o755


def test_a_file_in_its_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert "File exists" in refusal_of(tmp_path / "state")
    with pytest.raises(ConfigurationError, match="is not a directory"):
        state_in(tmp_path / "state").read(HOST_KEY)


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    state = state_in(tmp_path / "state")
    state.keep(PASSWORD, b"hash")
    (tmp_path / "state" / HOST_KEY).mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        state.read(HOST_KEY)


def test_without_a_place_a_problem_names_the_directory(tmp_path: Path) -> None:
    error = StateDirectory(tmp_path).error("it is wrong", "make it right")
    assert str(error) == f"{tmp_path}:1: it is wrong (make it right)"
