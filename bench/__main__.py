"""``python -m bench``: starts each server, measures it, and prints the table."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from bench import cores, machine
from bench.build import build
from bench.errors import BenchError
from bench.measure import QUICK, Measure, Settings
from bench.results import Failure, Report, document, rows
from bench.servers import CONTENDERS, Contender
from bench.table import text
from bench.targets import TARGETS
from bench.works import WORKS, Work

_QUICK_SERVERS = ["sockd", "c"]

Named = TypeVar("Named", Work, Contender)


def main(words: Sequence[str] | None = None) -> int:
    """Run the measurements that the command line selects; return the exit status."""
    given = parser().parse_args(words)
    # As at Ctrl-C, the servers must not outlive their measurement.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _raise_descriptor_limit()
        works = _picked(WORKS, given.only, "work")
        servers = given.servers or (_QUICK_SERVERS if given.quick else [])
        contenders = _picked(CONTENDERS, servers, "server")
        report = _run(_settings(given), works, contenders)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bench: interrupted\n")
        return 130
    lines = rows(report, WORKS, CONTENDERS, TARGETS)
    page = text(report, lines, {contender.name: contender.title for contender in CONTENDERS})
    sys.stdout.write(page)
    given.json.write_text(json.dumps(document(report, lines), indent=1) + "\n", "utf-8")
    return 1 if report.failures else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    defaults = Settings()
    reader = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    reader.add_argument(
        "--only", metavar="WORK,…", type=_names, help=", ".join(work.name for work in WORKS)
    )
    reader.add_argument(
        "--servers", metavar="NAME,…", type=_names, help=", ".join(one.name for one in CONTENDERS)
    )
    reader.add_argument("--rounds", type=int, metavar="N", help=f"repetitions ({defaults.rounds})")
    reader.add_argument("--turns", type=int, metavar="N", help=f"of a round ({defaults.turns})")
    reader.add_argument(
        "--seconds", type=float, metavar="S", help=f"that a turn lasts ({defaults.seconds})"
    )
    reader.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=Path("bench.json"),
        help="where every figure goes (%(default)s)",
    )
    reader.add_argument(
        "--quick", action="store_true", help="one short round, sockd and C: does it work?"
    )
    return reader


def _names(argument: str) -> list[str]:
    return [name.strip() for name in argument.split(",")]


def _picked(known: Sequence[Named], names: list[str] | None, what: str) -> list[Named]:
    strangers = set(names or ()) - {one.name for one in known}
    if strangers:
        message = f"no {what} is called {', '.join(sorted(strangers))}; see --help"
        raise BenchError(message)
    return [one for one in known if not names or one.name in names]


def _settings(given: argparse.Namespace) -> Settings:
    base = QUICK if given.quick else Settings()
    wanted = {name: getattr(given, name) for name in ("rounds", "turns", "seconds")}
    return replace(base, **{name: value for name, value in wanted.items() if value})


def _raise_descriptor_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _missing(contender: Contender) -> str:
    """Return the requirements of a contender that are not installed, as text."""
    for program in contender.programs:
        if shutil.which(program) is None:
            return f"{program} is not installed"
    for module in contender.modules:
        if find_spec(module) is None:
            return f"{module} is not installed (pip install -e '.[bench]')"
    return ""


def _run(settings: Settings, works: list[Work], contenders: list[Contender]) -> Report:
    pair = cores.find()
    if pair is None:
        message = "two cores are needed, one for the server and one for the load"
        raise BenchError(message)
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "settings": {**asdict(settings), "server core": pair.server, "load core": pair.load},
    }
    absent = {one.name: why for one in contenders if (why := _missing(one))}
    report = Report(about, absent)
    present = [one for one in contenders if one.name not in absent]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, cores.on(pair.load):
        build(Path(folder))
        measure = Measure(settings, Path(folder), pair)
        for number in range(1, settings.rounds + 1):
            _round(number, works, present, measure, report)
    return report


def _round(
    number: int,
    works: list[Work],
    contenders: list[Contender],
    measure: Measure,
    report: Report,
) -> None:
    """Measure everything once."""
    for work in works:
        able = [contender for contender in contenders if work.kind in contender.works]
        for outcome in measure.outcomes(number, work, able):
            if isinstance(outcome, Failure):
                report.failures.append(outcome)
                said = outcome.why
            else:
                report.samples.append(outcome)
                figures = outcome.figures
                said = "  ".join(f"{figures[one.name]:,.2f} {one.unit}" for one in work.figures)
            sys.stderr.write(f"round {number}  {work.name}  {outcome.server}  {said}\n")


if __name__ == "__main__":
    sys.exit(main())
