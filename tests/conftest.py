"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from tests.browser import LivePage, NewPage, OpenPage, chromium, window
from tests.certificates import TLSFiles, make_tls_files
from tests.harness import Sockd
from tests.namespaces import Host, two_hosts

settings.register_profile("long", max_examples=5_000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the soak test take any time: ``pytest -m soak --soak-seconds=60``."""
    parser.addoption("--soak-seconds", type=float, default=600.0, help="how long to soak")


class RunSockd(Protocol):
    """Starts a daemon that ends with the test."""

    def __call__(
        self,
        ini: str,
        *,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] = ...,
        pass_fds: tuple[int, ...] = (),
    ) -> Sockd:
        """Return a daemon that has bound everything."""


@pytest.fixture
def run_sockd(tmp_path: Path) -> Iterator[RunSockd]:
    """Start real daemons, each in a folder of its own."""
    with ExitStack() as stack:
        count = iter(range(100))

        def run(ini: str, **arguments: Any) -> Sockd:
            folder = tmp_path / f"daemon{next(count)}"
            folder.mkdir()
            return stack.enter_context(Sockd(ini, folder, **arguments))

        yield run


@pytest.fixture
def tool() -> ToolFinder:
    """Find a program that a test drives; without it the test is skipped, but never in CI."""
    return ToolFinder()


class ToolFinder:
    """Finds programs by name: ``tool("nc")``."""

    def __call__(self, name: str, package: str = "") -> str:
        """Return the path of a program."""
        path = shutil.which(name)
        if path is None:
            reason = f"{name} is not installed (Debian: apt-get install {package or name})"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        return path


@pytest.fixture
def tls_files(tmp_path: Path) -> TLSFiles:
    """Make a certificate for localhost."""
    folder = tmp_path / "tls"
    folder.mkdir()
    return make_tls_files(folder)


@pytest.fixture
def wire(tool: ToolFinder) -> Iterator[tuple[Host, Host]]:
    """Make two hosts on one wire."""
    tool("ip", "iproute2")
    if os.geteuid() != 0:
        pytest.skip("network namespaces are for root")
    with two_hosts() as hosts:
        yield hosts


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for the tests of a module."""
    with chromium(ToolFinder()("chromium")) as running:
        yield running


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Make pages that are nowhere yet; nothing may have offended the browser at the end."""
    with ExitStack() as stack:

        def made(**options: Any) -> LivePage:
            live = LivePage(window(browser, **options))
            stack.callback(live.context.close)
            pages.append(live)
            return live

        pages: list[LivePage] = []
        yield made
        assert [one.complaints for one in pages] == [[] for _ in pages]


@pytest.fixture
def open_page(new_page: NewPage) -> OpenPage:
    """Open the live page of a daemon."""

    def opened(sockd: Sockd, **options: Any) -> LivePage:
        live = new_page(**options)
        live.open(sockd.stats_url)
        return live

    return opened
