"""Fills the marked blocks of the pages, or says which are out of date."""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.fresh import REPOSITORY
from tests.namespaces import two_hosts
from tests.transcripts.lab import PAGES, play
from tests.transcripts.pages import blocks, filled, settled


def main() -> int:
    """Return the exit status: 1 if pages are out of date that are only to be checked."""
    parser = argparse.ArgumentParser(prog="python -m tests.transcripts", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; print what differs")
    only_check = parser.parse_args().check
    with two_hosts() as hosts, tempfile.TemporaryDirectory() as folder:
        played = play(*hosts, Path(folder))
    pages = [REPOSITORY / "docs" / name for name in PAGES]
    texts = settled(blocks(pages[0].read_text(encoding="utf-8")), played)
    stale = [_is_changed(page, texts, only_check) for page in pages]
    return int(only_check and any(stale))


def _is_changed(page: Path, texts: Mapping[str, str], only_check: bool) -> bool:
    """Fill a page, or only show what would change; return whether anything does."""
    old = page.read_text(encoding="utf-8")
    new = filled(old, texts)
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, page.name, page.name))
    if not only_check:
        page.write_text(new, encoding="utf-8")
    return old != new


if __name__ == "__main__":
    sys.exit(main())
