"""Capture files stay private and within their limits, across restarts too."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from sockd.capture.pcapng import INTERFACE, PACKET, SECTION, Block
from sockd.capture.recorder import PARTS, Recorder
from sockd.config.specs import CaptureSpec
from sockd.errors import CaptureError, SourceLocation

PREAMBLE = [Block(SECTION, b"S" * 28), Block(INTERFACE, b"I" * 20)]
BOUND = 8000
PLACES: Mapping[str, SourceLocation] = defaultdict(
    lambda: SourceLocation("lab.ini", 9, "capture", "directory")
)


def packets(count: int, size: int = 100) -> list[Block]:
    return [Block(PACKET, b"P" * size)] * count


def recorder(folder: Path, clock: Clock, max_age: float = 0.0) -> Recorder:
    made = Recorder(folder, CaptureSpec(PLACES, max_size=BOUND, max_age=max_age), clock.seconds)
    made.open()
    return made


def clock_now() -> Clock:
    clock = Clock()
    clock.advance(1_700_000_000)
    return clock


def total(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_every_file_begins_with_the_preamble(tmp_path: Path) -> None:
    it = recorder(tmp_path / "captures", clock_now())
    it.write([*PREAMBLE, *packets(30)])
    files = sorted((tmp_path / "captures").iterdir())
    assert len(files) == 4
    begin = b"".join(block.data for block in PREAMBLE)
    assert all(file.read_bytes().startswith(begin + b"P") for file in files)
    assert it.files == tuple((file.name, file.stat().st_size) for file in files)
    assert it.packets == 30


def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "captures"
    recorder(folder, clock_now()).write([*PREAMBLE, *packets(1)])
    modes = [path.stat().st_mode & 0o777 for path in (folder.parent, folder, *folder.iterdir())]
    assert modes == [0o700, 0o700, 0o600]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30), st.integers(12, 900)), max_size=12))
def test_the_bound_holds_at_every_moment(steps: list[tuple[bool, int, int]]) -> None:
    with TemporaryDirectory() as name:
        folder, clock = Path(name) / "captures", clock_now()
        it = recorder(folder, clock)
        for is_restart, count, size in steps:
            if is_restart:
                it.close()
                it = recorder(folder, clock)
            it.write(PREAMBLE)
            for one in packets(count, size):
                it.write([one])
                assert total(folder) <= BOUND
        it.close()
        sizes = [path.stat().st_size for path in folder.iterdir()]
        assert all(size <= BOUND // PARTS for size in sizes)


def test_old_files_are_removed_even_while_one_is_open(tmp_path: Path) -> None:
    clock = clock_now()
    it = recorder(tmp_path, clock, max_age=80.0)
    it.write([*PREAMBLE, *packets(1)])
    (first,) = tmp_path.iterdir()
    os.utime(first, (clock.seconds(), clock.seconds()))
    clock.advance(11)
    it.write(packets(1))
    assert len(it.files) == 2
    clock.advance(70)
    it.sweep()
    assert first.name not in dict(it.files)
    (second,) = tmp_path.iterdir()
    os.utime(second, (0, 0))
    it.sweep()
    assert not it.files
    it.write(packets(1))
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_not_a_capture_of_ours_stays(tmp_path: Path) -> None:
    other = tmp_path / "holiday.pcapng"
    other.write_bytes(bytes(2 * BOUND))
    it = recorder(tmp_path, clock_now(), max_age=1.0)
    it.write([*PREAMBLE, *packets(200)])
    assert other.exists()


def test_a_survey_finds_what_earlier_runs_left(tmp_path: Path) -> None:
    clock = clock_now()
    recorder(tmp_path, clock).write([*PREAMBLE, *packets(1)])
    later = Recorder(tmp_path, CaptureSpec(PLACES, max_age=0.0), clock.seconds)
    later.survey()
    assert [size for _, size in later.files] == [148]
    missing = Recorder(tmp_path / "none", CaptureSpec(PLACES), clock.seconds)
    missing.survey()
    assert missing.files == ()


def test_a_file_that_somebody_else_removed_is_no_matter(tmp_path: Path) -> None:
    it = recorder(tmp_path, clock_now(), max_age=60.0)
    it.write([*PREAMBLE, *packets(1)])
    next(tmp_path.iterdir()).unlink()
    it.sweep()
    assert it.files == ()


def test_two_files_of_one_moment_have_two_names(tmp_path: Path) -> None:
    it = recorder(tmp_path, clock_now())
    it.write([*PREAMBLE, *packets(40)])
    names = [name for name, _ in it.files]
    assert all(one != other for one, other in pairwise(names))
    assert names == sorted(names, key=names.index)


@pytest.mark.parametrize("mode", [0o755, 0o710])
def test_a_folder_that_others_can_look_into_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(CaptureError, match=rf"mode {mode:04o} \(chmod 700 "):
        recorder(tmp_path, clock_now())


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(0o600)
    with pytest.raises(CaptureError, match=r"^lab.ini:9: \[capture\] directory: .*: File exists"):
        recorder(file, clock_now())


def test_a_disk_that_takes_no_more_leaves_whole_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = recorder(tmp_path, clock_now())
    it.write([*PREAMBLE, *packets(1)])
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:50])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(CaptureError, match=r"No space left on device \(the disk is full"):
        it.write(packets(1))
    assert total(tmp_path) == 148
