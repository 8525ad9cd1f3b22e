"""The link of the live page to the daemon, in a real browser with a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest
from playwright.sync_api import Route, expect

from sockd.stats.events.batcher import MAX_CHUNK_EVENTS
from tests.browser import ANY_PORTS, LivePage, NewPage, OpenPage, port_of
from tests.clients import connect, connected
from tests.conftest import RunSockd
from tests.harness import Sockd, wait_until
from tests.log_capture import Muffler

MOST_CONNECTIONS = 6
"""So many connections to one host are all that a browser has, over HTTP/1.1."""

STREAM_AGAIN = 25_000
SILENCE = 9_000
HELLO_PATIENCE = 5_000
"""Times of the page's, and a bit more, in milliseconds."""

pytestmark = pytest.mark.browser


@pytest.fixture
def sockd(run_sockd: RunSockd) -> Sockd:
    return run_sockd(ANY_PORTS)


@pytest.fixture
def hasty(new_page: NewPage) -> LivePage:
    """Return a page whose clock can be put forward."""
    live = new_page()
    live.page.clock.install()
    return live


def refuse(route: Route) -> None:
    """Answer as a proxy does that lets no streams through."""
    route.fulfill(status=403, body="no streams here")


def withhold(route: Route) -> None:
    """Do as a proxy does that waits for the end of an answer."""


@pytest.mark.parametrize("proxy", [refuse, withhold])
def test_where_the_events_are_blocked_the_page_polls_and_says_so(
    hasty: LivePage, sockd: Sockd, proxy: Callable[[Route], None]
) -> None:
    with hasty.page.expect_request("**/events*") as _:
        hasty.page.route("**/events*", proxy)
        hasty.page.goto(sockd.stats_url)
    hasty.page.clock.fast_forward(HELLO_PATIENCE)
    hasty.in_state("polling")
    expect(hasty.page.get_by_role("alert")).to_contain_text("do not arrive")
    with connected(sockd.port("multi"), 2) as clients:
        expect(hasty.client_ports("multi")).to_have_text([port_of(one) for one in clients])
        expect(hasty.page.locator("#log")).to_contain_text(port_of(clients[1]))
    expect(hasty.client_ports("multi")).to_have_count(0)
    closed = hasty.page.locator("#log li").filter(has_text="Closed")
    expect(closed).to_have_count(2)
    expect(closed.first).to_contain_text(": unknown reason, ")


def test_once_the_events_get_through_the_page_is_live_and_tells_nothing_twice(
    hasty: LivePage, sockd: Sockd
) -> None:
    hasty.page.route("**/events*", refuse)
    hasty.page.goto(sockd.stats_url)
    hasty.in_state("polling")
    with connect(sockd.port("multi")) as early:
        told = hasty.page.locator("#log li").filter(
            has_text=f"Connected by 127.0.0.1{port_of(early)}"
        )
        expect(told).to_have_count(1)
        hasty.page.unroute("**/events*")
        hasty.page.clock.fast_forward(STREAM_AGAIN)
        hasty.in_state("live")
        expect(hasty.page.locator("#notice")).to_be_hidden()
        with connect(sockd.port("multi")) as late:
            expect(hasty.client_ports("multi")).to_have_text([port_of(early), port_of(late)])
        expect(told).to_have_count(1)


BURST = """() => {
  %s
  const one = (id, bytesIn) => ({ id, bytesIn, bytesOut: 0, rate: 0 });
  const model = new Model();
  for (const id of [1, 2, 3]) model.enter(one(id, 5));
  model.letPass(2, 3);
  model.enter(one(3, 0));
  return [...model.open.values()].map((each) => [each.id, each.bytesIn]);
}"""


def test_of_those_who_may_have_come_and_gone_stays_who_is_told_of_next(new_page: NewPage) -> None:
    model = (files("sockd") / "stats" / "page" / "model.js").read_text(encoding="utf-8")
    assert new_page().page.evaluate(BURST % model) == [[1, 5], [3, 5]]


def test_a_connection_closed_while_the_page_lists_connections_is_removed(
    new_page: NewPage, sockd: Sockd
) -> None:
    live = new_page()
    listed: list[object] = []

    def list_in_bursts(route: Route) -> None:
        """Answer with clients who are gone by the time that the events tell of them, mostly."""
        if listed:
            route.continue_()
            return
        for _ in range(5):
            with connected(sockd.port("multi"), MAX_CHUNK_EVENTS):
                wait_until(lambda: sockd.service("multi")["active"] == MAX_CHUNK_EVENTS)
                listed.extend(sockd.get("/connections")["connections"])
            wait_until(lambda: sockd.service("multi")["active"] == 0)
        route.fulfill(json={"connections": listed, "next": None})

    live.page.route("**/connections*", list_in_bursts)
    live.open(sockd.stats_url)
    with connect(sockd.port("multi")) as client:
        expect(live.client_ports("multi")).to_have_text([port_of(client)])
    assert len(listed) == 5 * MAX_CHUNK_EVENTS


def test_a_stream_that_falls_silent_is_found_out_and_taken_up_again(
    hasty: LivePage, sockd: Sockd
) -> None:
    with Muffler(sockd.stats_url) as proxy:
        hasty.open(proxy.url)
        proxy.is_open.clear()
        with connect(sockd.port("multi")) as client:
            for _ in range(2):
                with hasty.page.expect_response("**/stats"):
                    hasty.page.clock.fast_forward(SILENCE)
            hasty.in_state("polling")
            expect(hasty.client_ports("multi")).to_have_text([port_of(client)])
            proxy.is_open.set()
            hasty.page.clock.fast_forward(STREAM_AGAIN)
            hasty.in_state("live")


def test_a_stream_without_anything_to_tell_is_left_alone(hasty: LivePage, sockd: Sockd) -> None:
    hasty.open(sockd.stats_url)
    for _ in range(3):
        with hasty.page.expect_response("**/stats"):
            hasty.page.clock.fast_forward(SILENCE)
    expect(hasty.page.get_by_role("status")).to_have_text("Live")


def test_a_hidden_page_rests_and_goes_on_where_it_was(sockd: Sockd, open_page: OpenPage) -> None:
    live = open_page(sockd)
    log = live.page.locator("#log li")
    with connected(sockd.port("multi"), 2) as (stays, goes):
        expect(live.client_ports("multi")).to_have_count(2)
        live.hide()
        live.in_state("resting")
        goes.close()
        with connect(sockd.port("multi")) as new:
            live.hide(False)
            live.in_state("live")
            expect(live.client_ports("multi")).to_have_text([port_of(stays), port_of(new)])
            for client in (stays, new):
                told = log.filter(has_text=f"Connected by 127.0.0.1{port_of(client)}")
                expect(told).to_have_count(1)
            expect(log.filter(has_text="Closed")).to_have_count(1)
            expect(log.filter(has_text="Bind")).to_have_count(3)


def test_hidden_tabs_leave_the_browser_connections_for_those_that_are_seen(
    sockd: Sockd, new_page: NewPage
) -> None:
    seen = new_page()
    hidden = [LivePage(seen.context) for _ in range(MOST_CONNECTIONS)]
    for tab in hidden:
        tab.open(sockd.stats_url)
        tab.hide()
    seen.open(sockd.stats_url)
    with connect(sockd.port("multi")) as client:
        expect(seen.client_ports("multi")).to_have_text([port_of(client)])
