"""The live page in a real browser, with real clients of the daemon."""

from __future__ import annotations

import os
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.browser import ANY_PORTS, INI, NewPage, OpenPage, port_of
from tests.clients import LOOPBACK, ask, connect, connected, receive, udp_client
from tests.conftest import RunSockd
from tests.fresh import REPOSITORY
from tests.harness import Sockd
from tests.test_reload import ports, reload

MANY = 5000
CROWDED = ANY_PORTS.replace("max_connections = 6000", "max_connections = 6000\nbacklog = 4096")
"""Of a crowd that comes faster than it is accepted, the kernel has the others wait a second."""
LAB = (REPOSITORY / "config" / "lab.ini").read_text(encoding="utf-8")

pytestmark = pytest.mark.browser


@pytest.fixture
def sockd(run_sockd: RunSockd) -> Sockd:
    return run_sockd(ANY_PORTS)


def test_each_connection_is_a_line_from_its_own_port_to_the_one_server_port(
    sockd: Sockd, open_page: OpenPage
) -> None:
    live = open_page(sockd)
    port = sockd.port("multi")
    picture = live.service("multi").get_by_role("img")
    expect(live.service("multi").locator(".server .number")).to_have_text(f":{port}")
    expect(live.page.locator("#no-rows")).to_have_text("No clients are connected.")
    expect(live.service("multi")).to_contain_text(f"Connect from a terminal:nc {LOOPBACK} {port}")
    with connected(port, 3) as clients:
        expect(live.client_ports("multi")).to_have_text([port_of(one) for one in clients])
        expect(live.lines("multi")).to_have_count(3)
        sentence = (
            f"One server port, {port}, for all 3 connections; the 3 clients have 3 different ports."
        )
        expect(live.service("multi").locator(".sentence")).to_have_text(sentence)
        expect(picture).to_have_attribute("aria-label", sentence)
        expect(live.rows()).to_have_count(3)
        clients[1].close()
        left = [clients[0], clients[2]]
        expect(live.client_ports("multi")).to_have_text([port_of(one) for one in left])
        expect(live.service("multi").locator(".lane")).to_have_count(2)
        expect(live.page.locator("#log")).to_contain_text(
            re.compile(rf"Closed {LOOPBACK}:\d+ on {LOOPBACK}:{port}: eof, 0 bytes in, 0 out")
        )
    expect(live.rows()).to_have_count(0)
    expect(live.lines("datagrams")).to_have_count(0)


def test_who_came_before_the_page_is_there_and_what_happened_too(
    sockd: Sockd, open_page: OpenPage
) -> None:
    port = sockd.port("multi")
    with connected(port, 2) as clients:
        live = open_page(sockd)
        expect(live.client_ports("multi")).to_have_text([port_of(one) for one in clients])
        log = live.page.locator("#log")
        expect(log).to_contain_text(f"Bind tcp {LOOPBACK}:{port} (multi)")
        expect(log).to_contain_text(f"Listen on {LOOPBACK}:{port}, backlog 50 (multi)")
        expect(log).to_contain_text(f"Connected by {LOOPBACK}{port_of(clients[0])} on")


def test_a_line_is_thicker_while_there_is_traffic(sockd: Sockd, new_page: NewPage) -> None:
    live = new_page()
    live.page.clock.install()
    live.open(sockd.stats_url)
    with connected(sockd.port("multi"), 2) as (busy, _):
        expect(live.lines("multi")).to_have_count(2)
        thickness = "line => parseFloat(line.style.strokeWidth)"
        assert live.lines("multi").first.evaluate(thickness) == 2
        ask(busy, bytes(60000))
        expect(live.lines("multi").first).to_have_class(re.compile(r"\bbusy\b"))
        assert live.lines("multi").first.evaluate(thickness) > 3
        assert live.lines("multi").last.evaluate(thickness) == 2
        live.page.clock.fast_forward(5000)
        expect(live.lines("multi").first).not_to_have_class(re.compile(r"\bbusy\b"))


def test_a_flow_is_drawn_too_and_its_service_neither_listens_nor_accepts(
    sockd: Sockd, open_page: OpenPage
) -> None:
    live = open_page(sockd)
    with udp_client() as client:
        client.sendto(b"hello", (LOOPBACK, sockd.port("datagrams")))
        expect(live.client_ports("datagrams")).to_have_text([port_of(client)])
    expect(live.service("datagrams").locator(".life li")).to_have_text(["bind", "receiving"])
    expect(live.page.locator("#log")).to_contain_text("First datagram from")


def test_who_waits_in_the_queue_is_counted_and_not_drawn(sockd: Sockd, open_page: OpenPage) -> None:
    live = open_page(sockd)
    card = live.service("simple-tcp")
    expect(card.locator(".life li")).to_have_text(["bind", "listen", "accepting"])
    expect(card.locator(".queue")).to_have_text("Queue empty, room for 50")
    with connected(sockd.port("simple-tcp"), 3) as clients:
        expect(card.locator(".queue")).to_contain_text("2 clients wait in the queue")
        expect(card.locator(".life li").last).to_have_text("full: clients are queued")
        expect(live.client_ports("simple-tcp")).to_have_text([port_of(clients[0])])
        clients[0].close()
        expect(live.client_ports("simple-tcp")).to_have_text([port_of(clients[1])])
        expect(card.locator(".queue")).to_contain_text("1 client waits in the queue")


def test_the_table_filters_and_sorts(sockd: Sockd, open_page: OpenPage) -> None:
    live = open_page(sockd)
    with connected(sockd.port("multi"), 3) as clients, connect(sockd.port("simple-tcp")):
        expect(live.rows()).to_have_count(4)
        live.page.get_by_label("Service", exact=True).select_option("multi")
        expect(live.rows()).to_have_count(3)
        expect(live.page.locator("#shown")).to_have_text("3 of 4")
        shown = live.rows().locator("td:nth-child(3) b")
        live.page.get_by_role("button", name="No.").click()
        expect(live.page.get_by_role("columnheader", name="No.")).to_have_attribute(
            "aria-sort", "ascending"
        )
        expect(shown).to_have_text([port_of(one) for one in clients])
        live.page.get_by_role("button", name="No.").click()
        expect(shown).to_have_text([port_of(one) for one in reversed(clients)])
        live.page.get_by_label("Client", exact=True).fill(port_of(clients[1]))
        expect(shown).to_have_text([port_of(clients[1])])
        port = port_of(clients[1])
        clients[1].close()
        expect(live.page.get_by_text("No matching connections.")).to_be_visible()
        live.page.get_by_label("State", exact=True).select_option("closed")
        expect(shown).to_have_text([port])


def test_the_wireshark_filter_is_copied(sockd: Sockd, open_page: OpenPage) -> None:
    live = open_page(sockd, permissions=["clipboard-read", "clipboard-write"])
    with connect(sockd.port("multi")) as client:
        wanted = f"tcp.port == {sockd.port('multi')} && tcp.port == {client.getsockname()[1]}"
        live.page.get_by_role("button", name="Copy the Wireshark filter of connection 1").click()
        expect(live.page.locator("#toast")).to_have_text(f"Copied: {wanted}")
        assert live.page.evaluate("navigator.clipboard.readText()") == wanted


def test_the_keyboard_opens_the_details_with_the_kernels_view(
    sockd: Sockd, open_page: OpenPage
) -> None:
    live = open_page(sockd)
    with connect(sockd.port("multi")) as client:
        ask(client, b"hello")
        button = live.page.get_by_role("button", name="Details of connection 1")
        button.focus()
        live.page.keyboard.press("Enter")
        dialog = live.page.get_by_role("dialog", name="Connection 1")
        expect(dialog).to_contain_text(port_of(client))
        expect(dialog).to_contain_text("(multi, tcp)")
        expect(dialog).to_contain_text("5 B in (1 read), 5 B out (1 write)")
        expect(dialog).to_contain_text("TCP information from the kernel")
        expect(dialog).to_contain_text("established")
        live.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(button).to_be_focused()


def test_a_relayed_client_is_drawn_as_who_it_is_and_its_details_name_the_balancer(
    run_sockd: RunSockd, open_page: OpenPage
) -> None:
    relayed = "max_connections = 6000\nproxy = 127.0.0.1\n"
    sockd = run_sockd(ANY_PORTS.replace("max_connections = 6000\n", relayed))
    live = open_page(sockd)
    with connect(sockd.port("multi")) as balancer:
        balancer.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 50412 443\r\nhello")
        assert receive(balancer, 5) == b"hello"
        expect(live.page.get_by_role("cell", name="192.0.2.7:50412")).to_be_visible()
        live.page.get_by_role("button", name="Details of connection 1").click()
        dialog = live.page.get_by_role("dialog", name="Connection 1")
        expect(dialog).to_contain_text(f"relayed by127.0.0.1{port_of(balancer)}")


def test_the_page_speaks_the_language_of_the_browser_and_remembers_another(
    sockd: Sockd, open_page: OpenPage
) -> None:
    live = open_page(sockd, locale="pt-BR")
    with connected(sockd.port("multi"), 2):
        sentence = live.service("multi").locator(".sentence")
        expect(sentence).to_have_text(
            f"Uma única porta no servidor, {sockd.port('multi')}, para todas as 2 conexões; "
            "os 2 clientes têm 2 portas diferentes."
        )
        expect(live.page.locator("html")).to_have_attribute("lang", "pt-BR")
        live.page.get_by_role("button", name="Switch to English").click()
        expect(sentence).to_contain_text("One server port")
        live.page.reload()
        expect(sentence).to_contain_text("One server port")
        expect(live.page.locator("html")).to_have_attribute("lang", "en")


def test_the_numbers_of_the_log_are_written_in_the_language_of_its_words(
    sockd: Sockd, open_page: OpenPage
) -> None:
    live = open_page(sockd)
    with connect(sockd.port("multi")) as client:
        ask(client, b"x" * 1234)
    closed = live.page.locator("#log li").filter(has_text="eof")
    expect(closed).to_contain_text("1,234 bytes in, 1,234 out")
    live.page.get_by_role("button", name="Mudar para português").click()
    expect(closed).to_contain_text("1.234 bytes de entrada, 1.234 de saída")


def test_dark_and_light_follow_the_system_until_somebody_chooses(
    sockd: Sockd, open_page: OpenPage
) -> None:
    live = open_page(sockd, color_scheme="dark")
    root = live.page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    live.page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    live.page.get_by_role("button", name="Dark").click()
    live.page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_the_page_says_that_the_daemon_is_gone_and_recovers_when_there_is_another(
    run_sockd: RunSockd, open_page: OpenPage
) -> None:
    first = run_sockd(ANY_PORTS)
    stats_port = urlsplit(first.stats_url).port
    live = open_page(first)
    with connect(first.port("multi")) as client:
        expect(live.client_ports("multi")).to_have_text([port_of(client)])
        client.shutdown(socket.SHUT_WR)
        first.stop()
        expect(live.page.get_by_role("status")).to_have_text("Daemon not reachable; retrying")
    second = run_sockd(INI.format(stats=stats_port))
    live.in_state("live")
    expect(live.service("multi").locator(".server .number")).to_have_text(
        f":{second.port('multi')}"
    )
    expect(live.client_ports("multi")).to_have_count(0)
    with connected(second.port("multi"), 2) as clients:
        expect(live.client_ports("multi")).to_have_text([port_of(one) for one in clients])
    expect(live.page.locator("#log")).to_contain_text("The daemon was restarted")
    expect(live.page.locator("#notice")).to_be_hidden()


def test_the_rows_of_another_daemon_are_its_own(run_sockd: RunSockd, new_page: NewPage) -> None:
    live = new_page()
    live.page.clock.install()
    first = run_sockd(ANY_PORTS)
    live.open(first.stats_url)
    live.page.get_by_label("State", exact=True).select_option("all")
    shown = live.rows().locator("td:nth-child(3) b")
    with connect(first.port("multi")) as client:
        expect(shown).to_have_text([port_of(client)])
    live.page.clock.pause_at(live.page.evaluate("Date.now() + 1000"))
    first.stop()
    second = run_sockd(INI.format(stats=urlsplit(first.stats_url).port))
    with connect(second.port("multi")) as client:
        ask(client, b"hello")
        with live.page.expect_response("**/connections?*"):
            pass
        live.page.clock.resume()
        expect(live.page.locator("#log")).to_contain_text("The daemon was restarted")
        expect(shown).to_have_text([port_of(client)])


def test_a_port_that_a_reload_gives_up_is_gone_from_the_page(
    run_sockd: RunSockd, open_page: OpenPage
) -> None:
    kept, given_up = ports(2)
    both = f"tcp:{kept}:interface={LOOPBACK}\n    tcp:{given_up}:interface={LOOPBACK}"
    ini = ANY_PORTS.replace("tcp:0:interface=127.0.0.1", both, 1)
    sockd = run_sockd(ini)
    live = open_page(sockd)
    numbers = live.service("simple-tcp").locator(".server .number")
    expect(numbers).to_have_text([f":{kept}", f":{given_up}"])
    reload(sockd, ini.replace(both, both.partition("\n")[0]))
    expect(numbers).to_have_text([f":{kept}"])


def test_names_are_text_and_what_peers_send_is_never_shown(
    run_sockd: RunSockd, open_page: OpenPage
) -> None:
    name = "<img src=x onerror=alert(1)> & <b>lab</b>"
    sockd = run_sockd(ANY_PORTS.replace("name = class", f"name = {name}"))
    live = open_page(sockd)
    with connect(sockd.port("multi")) as client:
        ask(client, b"<b>SECRET</b>")
        expect(live.page.locator("#daemon-name")).to_have_text(name)
        expect(live.page.locator("#daemon-name *")).to_have_count(0)
        live.page.get_by_role("button", name="Details of connection 1").click()
        expect(live.page.get_by_role("dialog")).to_contain_text("13 B")
        assert "SECRET" not in live.page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_finds_its_way(sockd: Sockd, open_page: OpenPage, scheme: str) -> None:
    live = open_page(sockd, color_scheme=scheme, reduced_motion="reduce")
    with connected(sockd.port("multi"), 2), connected(sockd.port("simple-tcp"), 2):
        expect(live.rows()).to_have_count(3)
        expect(live.service("simple-tcp")).to_contain_text("1 client waits")
        found = Axe().run(live.page)
        assert found.violations_count == 0, found.generate_report()
        live.page.get_by_role("button", name="Details of connection 1").click()
        expect(live.page.get_by_role("dialog")).to_contain_text("established")
        found = Axe().run(live.page)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [390, 768, 1440, 1920])
def test_nothing_is_wider_than_the_screen(sockd: Sockd, open_page: OpenPage, width: int) -> None:
    live = open_page(sockd, viewport={"width": width, "height": 800})
    with connected(sockd.port("multi"), 4):
        expect(live.rows()).to_have_count(4)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert live.page.evaluate(wide) == 0


@pytest.mark.parametrize(("count", "size"), [(1, 22), (8, 22), (30, 20), (50, 13)])
def test_at_the_projector_a_whole_class_is_on_the_screen_and_can_be_read(
    sockd: Sockd, open_page: OpenPage, count: int, size: int
) -> None:
    live = open_page(sockd, viewport={"width": 1920, "height": 1080}, reduced_motion="reduce")
    with connected(sockd.port("multi"), count):
        expect(live.client_ports("multi")).to_have_count(count)
        letters = live.client_ports("multi").first.evaluate(
            "port => parseFloat(getComputedStyle(port).fontSize)"
        )
        assert letters >= size
        tops = live.client_ports("multi").evaluate_all(
            "ports => ports.map(port => port.getBoundingClientRect().y)"
        )
        assert all(below - above >= letters for above, below in pairwise(tops))
        sentence = live.service("multi").locator(".sentence")
        assert sentence.evaluate("text => text.getBoundingClientRect().bottom") <= 1080


@contextmanager
def many_descriptors(count: int) -> Iterator[None]:
    """Have room for so many sockets, as far as the system allows; the daemon inherits it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < count:
        pytest.skip(f"no more than {before[1]} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], count), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


FRAMES = """seconds => new Promise(done => {
    const gaps = [];
    const end = performance.now() + seconds * 1000;
    let before = performance.now();
    const frame = now => {
        gaps.push(now - before);
        before = now;
        document.getElementById("scroller").scrollTop += 400;
        if (now < end) requestAnimationFrame(frame);
        else done(gaps.slice(1).sort((one, other) => one - other));
    };
    requestAnimationFrame(frame);
})"""
"""Scroll through the table for so many seconds, and return how long each frame took, sorted."""


def test_with_thousands_of_connections_it_stays_smooth(
    run_sockd: RunSockd, open_page: OpenPage
) -> None:
    with many_descriptors(MANY + 1000):
        sockd = run_sockd(CROWDED)
        live = open_page(sockd)
        with connected(sockd.port("multi"), MANY - 1) as clients:
            expect(live.page.locator("#shown")).to_have_text("4,999")
            for client in clients[:200]:
                ask(client, b"x" * 100)
            gaps = live.page.evaluate(FRAMES, 4)
            report = f"{len(gaps)} frames, median {gaps[len(gaps) // 2]}, longest {gaps[-1]} ms"
            print(report)
            assert gaps[len(gaps) // 2] < 100, report
            assert live.rows().count() < 60
            assert live.lines("multi").count() < 40
            expect(live.service("multi")).to_contain_text("and 4,987 more")
            expect(live.service("multi")).to_contain_text("Queue empty, room for 4,096")
            with connect(sockd.port("multi")) as last:
                newest = live.client_ports("multi").filter(has_text=port_of(last))
                expect(newest).to_have_count(1)
        expect(live.page.locator("#shown")).to_have_text("0")


def test_thousands_who_were_there_before_the_page_are_all_in_the_table(
    run_sockd: RunSockd, open_page: OpenPage
) -> None:
    with many_descriptors(MANY):
        sockd = run_sockd(CROWDED)
        with connected(sockd.port("multi"), 2500):
            live = open_page(sockd)
            expect(live.page.locator("#shown")).to_have_text("2,500")


def test_a_picture_of_the_running_lab(
    run_sockd: RunSockd, open_page: OpenPage, tmp_path: Path
) -> None:
    """Make the picture of README.md: ``SCREENSHOT=docs/page.png pytest FILE -k picture``.

    On its real ports the lab runs only then.
    """
    file = os.environ.get("SCREENSHOT", "")
    lab = LAB if file else re.sub(r"tcp:\d+|udp:\d+", lambda port: f"{port[0][:3]}:0", LAB)
    sockd = run_sockd(lab)
    live = open_page(sockd, viewport={"width": 1440, "height": 950})
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(sockd.port("multi"))) for _ in range(6)]
        stack.enter_context(connected(sockd.port("simple-tcp"), 3))
        flows = [stack.enter_context(udp_client()) for _ in range(3)]
        for flow in flows:
            flow.sendto(b"hello", (LOOPBACK, sockd.port("simple-udp")))
        expect(live.service("simple-tcp").locator(".queue")).to_contain_text("2 clients wait")
        expect(live.client_ports("simple-udp")).to_have_count(3)
        with traffic(clients[1:4]):
            expect(live.lines("multi").nth(3)).to_have_class(re.compile(r"\bbusy\b"))
        clients.pop(0).close()
        expect(live.service("multi").locator(".lane")).to_have_count(5)
        path = REPOSITORY / file if file else tmp_path / "page.png"
        still(live.page).screenshot(path=path)
    assert path.read_bytes().startswith(b"\x89PNG")


@contextmanager
def traffic(clients: list[socket.socket]) -> Iterator[None]:
    """Have clients ask, each ten times as much as the one before."""
    for location, client in enumerate(clients):
        ask(client, b"x" * 300 * 10**location)
    yield


def still(page: Page) -> Page:
    """Return a page on which the last movement is over."""
    page.evaluate("Promise.allSettled(document.getAnimations().map(one => one.finished))")
    return page
