"""Debian's Chromium, headless, and the elements of the live page."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.harness import DEADLINE

INI = """
[sockd]
name = class
[service:simple-tcp]
kind = tcp
listen = tcp:0:interface=127.0.0.1
[service:datagrams]
kind = udp
listen = udp:0:interface=127.0.0.1
[service:multi]
kind = multi
listen = tcp:0:interface=127.0.0.1
max_connections = 6000
[stats]
listen = tcp:{stats}:interface=127.0.0.1
"""
ANY_PORTS = INI.format(stats=0)

_NETWORK = re.compile(r"Failed to load resource|net::ERR_|EventSource's response")
"""Console messages of a browser when the daemon is gone or a test acts as a proxy."""


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """Run a browser; as root it has no sandbox to go into."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=DEADLINE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def window(browser: Browser, **options: Any) -> BrowserContext:
    """Return a window that shares nothing with others, as wide as on a desk."""
    return browser.new_context(
        **{"locale": "en-US", "viewport": {"width": 1440, "height": 900}} | options
    )


class LivePage:
    """The live page in a tab of its own, in a window that it may share.

    :ivar complaints: what the browser complained of, such as a script that the policy forbids.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.context.set_default_timeout(DEADLINE * 1000)
        self.complaints: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))

    def open(self, url: str) -> None:
        """Go to the page, and wait until it hears from the daemon."""
        self.page.goto(url)
        self.in_state("live")

    def hide(self, is_hidden: bool = True) -> None:
        """Hide the tab, as far as the page can tell, or show it again."""
        self.page.evaluate(
            """isHidden => {
                Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            is_hidden,
        )

    def in_state(self, state: str) -> None:
        """Wait until the page is ``live``, ``polling``, ``resting`` or ``gone``."""
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


NewPage = Callable[..., LivePage]
OpenPage = Callable[..., LivePage]


def port_of(client: socket.socket) -> str:
    """Return a client's port, as the page writes it."""
    return f":{client.getsockname()[1]}"
