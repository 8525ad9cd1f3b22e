"""Debian's Chromium, headless, and what tests look at on the live page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from tests.harness import DEADLINE

_NETWORK = re.compile(r"Failed to load resource|net::ERR_|EventSource's response")
"""What a browser writes down where a daemon is gone, or a test plays a proxy."""


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """Run a browser; as root it has no sandbox to go into."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class LivePage:
    """The live page in a tab of its own.

    :ivar complaints: what the browser complained of, such as a script that the policy forbids.
    """

    def __init__(self, browser: Browser, **options: Any) -> None:
        options = {"locale": "en-US", "viewport": {"width": 1440, "height": 900}} | options
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(DEADLINE * 1000)
        self.complaints: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))

    def open(self, url: str) -> None:
        """Go to the page, and wait until it hears from the daemon."""
        self.page.goto(url)
        self.in_state("live")

    def in_state(self, state: str) -> None:
        """Wait until the page is ``live``, ``polling`` or ``gone``."""
        self.page.wait_for_selector(f":root[data-link={state}]", state="attached")

    def service(self, name: str) -> Locator:
        """Return the card of a service."""
        heading = self.page.get_by_role("heading", name=name, exact=True)
        return self.page.get_by_role("article").filter(has=heading)

    def lines(self, service: str) -> Locator:
        """Return the lines of a service's picture that are not fading."""
        return self.service(service).locator(".lane:not(.closing)")

    def client_ports(self, service: str) -> Locator:
        """Return the clients' ports in a service's picture, the oldest connection first."""
        return self.service(service).locator(".end:not(.closing) .number")

    def rows(self) -> Locator:
        """Return the rows of the table that are in sight."""
        return self.page.locator("#rows tr.row")

    def _heard(self, sort: str, text: str) -> None:
        if sort in {"error", "warning"} and not _NETWORK.search(text):
            self.complaints.append(text)
