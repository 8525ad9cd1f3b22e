"""The live page as it is served: one document, with a strict policy."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from sockd.model.reasons import EndReason, RefusalReason
from sockd.net.tcp_info import TCPInfo, described
from sockd.stats.document import SCRIPTS
from tests.fresh import REPOSITORY
from tests.stats_client import Endpoint, Reply

BROWSERS = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "text/html",
    "TEXT/HTML ; q=0.4, */*;q=0.1",
)
PARTS = REPOSITORY / "sockd" / "stats" / "page"


def page(method: str = "GET", endpoint: Endpoint | None = None) -> Reply:
    return (endpoint or Endpoint()).ask("/", method, f"Accept: {BROWSERS[0]}")


def directives(reply: Reply) -> dict[str, str]:
    """Return the Content-Security-Policy, by directive."""
    found = (one.partition(" ") for one in reply.headers["content-security-policy"].split("; "))
    return {name: value for name, _, value in found}


def contents(reply: Reply, tag: str) -> list[str]:
    """Return what stands between the tags of each element of a name."""
    return re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", reply.body.decode(), re.DOTALL)


@pytest.mark.parametrize("accept", BROWSERS)
def test_a_browser_gets_the_page(accept: str) -> None:
    reply = Endpoint().ask("/", "GET", f"Accept: {accept}")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<!DOCTYPE html>")
    assert reply.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Accept: */*",),
        ("Accept: text/plain, text/html;q=0.5",),
        ("Accept: text/html;q=0, */*",),
        ("Accept: text/*",),
        ("Accept: application/json",),
    ],
)
def test_everybody_else_gets_the_index(headers: tuple[str, ...]) -> None:
    reply = Endpoint().ask("/", "GET", *headers)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert b"/connections/ID" in reply.body
    assert reply.headers["vary"] == "Accept"


def test_head_has_the_same_headers_and_no_body() -> None:
    whole, head = page(), page("HEAD")
    assert head.body == b""
    assert head.headers == whole.headers


def test_a_page_from_elsewhere_does_not_get_it() -> None:
    request = f"GET / HTTP/1.1\r\nHost: evil.example\r\nAccept: {BROWSERS[0]}\r\n\r\n"
    (reply,) = Endpoint().exchange(request.encode())
    assert reply.status == 421


def test_the_policy_names_the_one_style_and_the_one_script_and_allows_nothing_else() -> None:
    reply = page()
    policy = directives(reply)
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        [content] = contents(reply, tag)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page().body.decode()
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}, "only a namespace, which is not requested"
    assert not re.search(r"\b(?:src|srcset|action|formaction)=|@import|url\(", text)
    assert set(re.findall(r'\bhref="([^"]*)"', text)) == {"data:,", "#connections"}


def test_no_text_is_ever_made_into_markup_or_code() -> None:
    text = page().body.decode()
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    assert not re.search(sinks, text)
    assert not re.search(r"<[^>]*\s(?:on\w+|style)=", text), "the policy would refuse these"


def test_nothing_of_the_daemon_is_in_the_document() -> None:
    endpoint = Endpoint()
    before = page(endpoint=endpoint).body
    endpoint.daemon.name = "<script>alert(1)</script>"
    endpoint.daemon.add("</style><img src=x>").open()
    assert page(endpoint=endpoint).body == before
    stats = endpoint.ask("/stats")
    assert json.loads(stats.body)["daemon"]["name"] == endpoint.daemon.name


def test_every_part_is_in_the_document_and_says_first_what_it_is_for() -> None:
    [script], [style] = contents(page(), "script"), contents(page(), "style")
    files = {path.name for path in PARTS.iterdir() if not path.name.endswith(".d.ts")}
    assert files == {*SCRIPTS, "index.html", "page.css"}
    parts = [(PARTS / name).read_text(encoding="utf-8") for name in SCRIPTS]
    assert [name for name, part in zip(SCRIPTS, parts, strict=True) if part[:3] != "// "] == []
    assert script == "\n".join(parts)
    assert style.startswith("/* ")


def test_the_daemon_sends_every_member_that_the_scripts_have_a_type_for() -> None:
    endpoint = Endpoint()
    endpoint.daemon.add("echo").open()
    stats, listing = endpoint.ask("/stats").json, endpoint.ask("/connections").json
    [service], [connection] = stats["services"], listing["connections"]
    tcp = described(TCPInfo._make([0] * len(TCPInfo._fields)))
    assert members_of("StatsView") <= stats.keys()
    assert members_of("DaemonView") <= stats["daemon"].keys()
    assert members_of("TrafficCounters") <= stats["totals"].keys()
    assert members_of("ServiceView") <= service.keys()
    assert members_of("ServiceListener") <= service["listeners"][0].keys()
    assert members_of("ConnectionsView") <= listing.keys()
    assert members_of("ConnectionView") <= connection.keys()
    assert members_of("TcpView") <= tcp.keys()


def members_of(interface: str) -> set[str]:
    """Return the members of a type in daemon.d.ts, with those that it inherits."""
    types = (PARTS / "daemon.d.ts").read_text(encoding="utf-8")
    pattern = rf"^interface {interface}(?: extends (\w+))? {{$(.*?)^}}$"
    found = re.search(pattern, types, re.MULTILINE | re.DOTALL)
    assert found is not None, interface
    own = set(re.findall(r"^  (\w+): ", found[2], re.MULTILINE))
    assert own or found[1], interface
    return own | members_of(found[1]) if found[1] else own


def test_all_that_a_script_defines_for_the_others_is_used() -> None:
    script = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script, flags=re.DOTALL)
    defined = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", code, re.MULTILINE)
    assert {"Page", "byId", "MOST_DRAWN"} <= set(defined)
    assert [name for name in defined if len(re.findall(rf"\b{name}\b", code)) == 1] == []


def test_both_languages_say_the_same_things() -> None:
    english, portuguese = phrases("ENGLISH"), phrases("PORTUGUESE")
    reasons = {f"reason.{reason.value}" for reason in (*EndReason, *RefusalReason)}
    assert portuguese - english == reasons
    assert english <= portuguese


def test_every_word_of_the_document_is_in_the_phrases() -> None:
    text = (PARTS / "index.html").read_text(encoding="utf-8")
    words = set(re.findall(r'data-word(?:-\w+)?="([^"]+)"', text))
    assert words <= phrases("ENGLISH")


def phrases(language: str) -> set[str]:
    """Return the names of a language's phrases."""
    text = (PARTS / "words.js").read_text(encoding="utf-8")
    table = re.search(rf"^const {language} = {{$(.*?)^}};$", text, re.MULTILINE | re.DOTALL)
    assert table is not None
    return set(re.findall(r'^  "?([\w.]+)"?:', table[1], re.MULTILINE))


def test_the_readme_shows_the_page() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"!\[([^]]+)\]\((docs/page\.png)\)", readme)
    assert shown is not None
    assert len(shown[1]) > 80, "who cannot see it reads what is on it"
    assert (REPOSITORY / shown[2]).stat().st_size < 300_000
