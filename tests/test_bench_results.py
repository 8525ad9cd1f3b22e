"""The arithmetic of the benchmark: ratios of a round, their spread, and the targets."""

from __future__ import annotations

import json
import re

import pytest

from bench.__main__ import parser
from bench.measure import percentile
from bench.results import Failure, Report, Row, Sample, Spread, document, rows
from bench.servers import CONTENDERS
from bench.table import number, table, text
from bench.targets import OURS, TARGETS, Target
from bench.works import WORKS
from tests.fresh import REPOSITORY

TITLES = {contender.name: contender.title for contender in CONTENDERS}


def report(figures: dict[str, list[float]], work: str = "tcp-64", figure: str = "rate") -> Report:
    samples = [
        Sample(1, number, work, server, {figure: value})
        for server, values in figures.items()
        for number, value in enumerate(values, 1)
    ]
    return Report({"date": "2026-01-01"}, {}, samples)


def lines(of: Report, *targets: Target) -> dict[str, Row]:
    return {row.server: row for row in rows(of, WORKS, CONTENDERS, targets)}


def test_a_ratio_is_that_of_one_turn() -> None:
    run = report({"sockd": [10.0, 20.0, 90.0], "c": [10.0, 100.0, 300.0]})
    found = lines(run)["c"].ours
    assert found == Spread(0.3, 0.2, 1.0)  # that of the medians would be 0.2
    assert lines(run)["sockd"].of_limit == found


def test_a_round_without_the_other_has_no_ratio() -> None:
    run = report({"sockd": [80.0, 50.0], "c": [100.0]})
    assert lines(run)["c"].ours == Spread(0.8, 0.8, 0.8)
    assert lines(run)["sockd"].measured == Spread(65.0, 50.0, 80.0)


def test_nothing_is_divided_by_a_server_that_did_nothing() -> None:
    run = report({"sockd": [80.0], "xinetd": [0.0]})
    assert lines(run, Target("tcp-64", "rate", "xinetd", 1.5))["xinetd"].is_met is None


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (Target("tcp-64", "rate", "c", 0.8), True),
        (Target("tcp-64", "rate", "c", 0.81), False),
        (Target("tcp-64", "rate", "c", 0.8, is_least=False), True),
        (Target("tcp-64", "rate", "c", 0.79, is_least=False), False),
        (Target("tcp-64", "rate", "", 80.0), True),
        (Target("tcp-64", "rate", "", 80.5), False),
    ],
)
def test_a_target_is_held_to_the_median(target: Target, is_met: bool) -> None:
    run = report({"sockd": [10.0, 80.0, 100.0], "c": [100.0, 100.0, 100.0]})
    row = lines(run, target)[target.against or OURS]
    assert row.is_met is is_met
    assert row.target is target


def test_every_target_names_what_is_measured() -> None:
    works = {work.name: work for work in WORKS}
    contenders = {contender.name: contender for contender in CONTENDERS}
    for target in TARGETS:
        work = works[target.work]
        assert target.figure in {figure.name for figure in work.figures}
        assert work.kind in contenders[target.against or OURS].works
        assert work.kind in contenders[OURS].works
    assert len({(one.work, one.figure, one.against) for one in TARGETS}) == len(TARGETS)


def test_the_page_names_every_work_and_every_option() -> None:
    page = (REPOSITORY / "bench" / "README.md").read_text(encoding="utf-8")
    [works] = [line for line in page.splitlines() if line.startswith("| `--only")]
    assert re.findall(r"`([a-z0-9-]+)`", works.partition("some of")[2]) == [w.name for w in WORKS]
    options = re.findall(r"(--[a-z]+)", parser().format_usage())
    assert re.findall(r"^\| `(--[a-z]+)", page, re.MULTILINE) == options


def test_names_are_had_once() -> None:
    for known in (WORKS, CONTENDERS):
        names = [one.name for one in known]
        assert len(set(names)) == len(names)


def test_the_table_is_aligned_and_keeps_the_order() -> None:
    page = table([["a", "µs"], ["long", "1"]])
    assert page == "| a    | µs |\n| ---- | -- |\n| long | 1  |"


def test_the_page_says_what_was_met_what_was_not_and_what_is_missing() -> None:
    run = report({"sockd": [70.0], "c": [100.0], "go": [10.0]})
    run = Report(run.about, {"uvloop": "uvloop is not installed"}, run.samples)
    run.failures.append(Failure(1, "tcp-64", "ncat", "it does not answer"))
    page = text(run, rows(run, WORKS, CONTENDERS, TARGETS), TITLES)
    assert "≥ 0.8: **not met**" in page
    assert "≥ 1: met" in page
    assert "uvloop protocol: uvloop is not installed" in page
    assert "failed: tcp-64, ncat: it does not answer" in page
    assert (
        f"Of {len(TARGETS)} targets 1 are met, 1 not met, {len(TARGETS) - 2} not measured" in page
    )


def test_json_holds_every_single_figure() -> None:
    run = report({"sockd": [70.0, 80.0], "c": [100.0, 100.0]})
    said = json.loads(json.dumps(document(run, rows(run, WORKS, CONTENDERS, TARGETS))))
    assert said["date"] == "2026-01-01"
    assert [sample["figures"]["rate"] for sample in said["samples"]] == [70, 80, 100, 100]
    [limit] = [row for row in said["table"] if row["server"] == "c"]
    assert limit["ours"] == {"median": 0.75, "low": 0.7, "high": 0.8}
    assert limit["target"]["bound"] == 0.8
    assert limit["is_met"] is False


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567.8, "1,234,568"), (999.94, "999.9"), (9.876, "9.88"), (0.0, "0.00")],
)
def test_numbers_are_as_long_as_they_say_something(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 0.99) == 198
    assert percentile(values, 0.5) == 100
    assert percentile([7.0], 0.99) == 7
