"""The process data and load generator output that the benchmark reads."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench import proc
from bench.cores import Cores, chosen
from bench.errors import BenchError
from bench.generator import Load, parse
from bench.machine import first_version

STAT = "77 (a) b (c) S 1 77 77 0 -1 4194304 9 9 0 0 11 22 33 44 20 0 1 0 5 6 7"
LINE = (
    '{"mode": "tcp", "seconds": 2.0, "messages": 100, "total": 130, "lost": 1, '
    '"p50": 1.5, "p90": 2.5, "p99": 3.5, "max": 4.5}\n'
)


def test_cpu_time_is_the_processs_and_its_childrens_whatever_its_name() -> None:
    assert proc.cpu_ticks(STAT) == 11 + 22 + 33 + 44


def test_resident_memory_is_read_in_kib() -> None:
    assert proc.resident_kib("VmPeak:\t  99 kB\nVmRSS:\t   1234 kB\nThreads:\t1\n") == 1234


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5) is Linux's")
def test_a_living_childs_cpu_time_counts() -> None:
    busy = "import time\nwhile True: time.process_time()"
    before = proc.cpu_seconds(os.getpid())
    with subprocess.Popen([sys.executable, "-c", busy]) as child:
        end = time.monotonic() + 30
        while proc.cpu_seconds(child.pid) < 0.1:
            assert time.monotonic() < end
        assert child.pid in proc.children(os.getpid())
        assert proc.cpu_seconds(os.getpid()) - before >= 0.1
        child.kill()


def test_the_load_generators_line_is_understood() -> None:
    load = parse(LINE)
    assert load == Load(2.0, 100, 130, 1, 1.5, 2.5, 3.5, 4.5)
    assert load.rate == 50


@pytest.mark.parametrize("line", ["", "Killed\n", "{}\n", "[1]\n", '{"mode": "tcp"}\n'])
def test_another_line_is_an_error_that_shows_it(line: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse(line)
    assert repr(line) in str(caught.value)


@pytest.mark.parametrize(
    ("usable", "siblings", "cores"),
    [
        ([0], {0: "0"}, None),
        ([1, 0], {0: "0", 1: "1"}, Cores(0, 1)),
        ([0, 1, 2, 3], {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, Cores(0, 2)),
        ([4, 5], {4: "4-5", 5: "4-5"}, Cores(4, 5)),
    ],
)
def test_server_and_load_share_no_core_where_that_can_be(
    usable: list[int], siblings: dict[int, str], cores: Cores | None
) -> None:
    assert chosen(usable, siblings) == cores


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\n", "12.2.0-14+deb12u1"),
        ("go version go1.19.8 linux/amd64\n", "1.19.8"),
        ("no idea", ""),
    ],
)
def test_versions_are_found_in_what_programs_say(said: str, version: str) -> None:
    assert first_version(said) == version
