"""The plan of a reload, as a value."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.config.endpoint import Endpoint
from sockd.config.specs import Configuration
from sockd.reload.followed import settled
from sockd.reload.plan import Plan, plan
from tests.configurations import KINDS, REPLIES, read

OPTIONS: dict[str, tuple[str, ...]] = dict.fromkeys(KINDS, ())


def held(
    configuration: Configuration, stopped: tuple[str, ...] = ()
) -> dict[str, tuple[Endpoint, ...]]:
    return {one.name: one.listen for one in configuration.services if one.name not in stopped}


def planned(old: str, new: str, *stopped: str) -> Plan:
    before = read(old)
    return plan(before, read(new), held(before, stopped), OPTIONS)


def service(name: str, listen: str, kind: str = "multi", more: str = "") -> str:
    return f"[service:{name}]\nkind = {kind}\nlisten = {listen}\n{more}\n"


A = service("a", "tcp:7001")
B = service("b", "tcp:7002")


def test_nothing_changes_where_only_the_lines_did() -> None:
    done = planned(A + B, f"# new\n\n{B}{service('a', 'tcp:port=7001:interface=0.0.0.0')}")
    assert list(done.lines()) == ["kept 2"]
    assert (done.fresh, done.moves) == ({}, ())


def test_a_plan_in_words() -> None:
    done = planned(
        A + B + service("c", "tcp:7003"),
        service("a", "tcp:7001", more="idle_timeout = 5s") + B + service("d", "tcp:7003"),
    )
    assert list(done.lines()) == [
        "kept 1, changed a, added d, removed c",
        "tcp:7003 moves from c to d",
    ]


def test_two_services_swap_their_ports() -> None:
    done = planned(A + B, service("a", "tcp:7002") + service("b", "tcp:7001"))
    assert {(move.giver, move.taker, move.endpoint.port) for move in done.moves} == {
        ("a", "b", 7001),
        ("b", "a", 7002),
    }
    assert done.fresh == {}


def test_a_port_that_the_system_picked_stays_with_its_service() -> None:
    old = service("a", "tcp:0")
    assert planned(old, service("a", "tcp:0, tcp:7001")).fresh.keys() == {"a"}
    moved = planned(old, service("b", "tcp:0"))
    assert not moved.moves
    assert moved.fresh.keys() == {"b"}


def test_certificates_are_no_part_of_a_socket() -> None:
    old = "ssl:7001:privateKey=a.key:certKey=a.pem, tls:certs:7002"
    done = planned(service("a", old), service("a", old.replace("a.", "b.").replace("certs", "new")))
    assert [spec.name for spec in done.changed] == ["a"]
    assert (done.fresh, done.moves) == ({}, ())


def test_the_backlog_is_no_part_of_a_socket() -> None:
    done = planned(A, service("a", "tcp:7001:backlog=9"))
    assert ([one.name for one in done.changed], done.fresh) == (["a"], {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unix:/a", "unix:/b"),
        ("tcp:7001", "tcp:7001:interface=127.0.0.1"),
        ("tcp:7001", "ssl:7001:privateKey=/k.pem"),
        ("ssl:7001:privateKey=/k.pem", "tls:/k:7001"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=1"),
    ],
)
def test_another_socket_is_bound_anew(old: str, new: str) -> None:
    assert planned(service("a", old), service("b", new)).fresh.keys() == {"b"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unix:/a", "unix:/a:mode=600"),
        ("tcp:7001:interface=\\:\\:", "tcp6:7001"),
        ("tcp:7001:interface=localhost", "tcp:7001:interface=127.0.0.1"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ],
)
def test_the_same_socket_in_other_words_changes_hands(old: str, new: str) -> None:
    done = planned(service("a", old), service("b", new))
    assert ([move.taker for move in done.moves], done.fresh) == (["b"], {})


def test_a_service_that_was_stopped_stays_so_and_gives_nothing() -> None:
    done = planned(A, A.replace("7001", "7009") + service("b", "tcp:7001"), "a")
    assert not done.moves
    assert done.fresh.keys() == {"b"}


def test_another_kind_and_other_options_of_the_kind_make_a_new_service() -> None:
    assert [one.name for one in planned(A, service("a", "tcp:7001", "tcp")).replaced] == ["a"]
    before, after = read(A), read(A)
    [old], [new] = before.services, after.services
    object.__setattr__(old, "settings", MappingProxyType({"size": 1}))
    object.__setattr__(new, "settings", MappingProxyType({"size": 2}))
    assert [
        one.name for one in plan(before, after, held(before), {"multi": ["size"]}).replaced
    ] == ["a"]
    assert REPLIES.keys() == {"echo", "upper"}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("", "[sockd]\nstate = var\n", "lab.ini:6: [sockd] state"),
        ("[stats]\n", "[stats]\nlisten = tcp:8008\n", "lab.ini:6: [stats] listen"),
        ("[stats]\n", "", "lab.ini:1: [stats]"),
        ("[stats]\nlisten = tcp:1\n", "[stats]\n", "lab.ini:5: [stats]"),
        ("[admin]\n", "[admin]\nssh = tcp:1\n", "lab.ini:6: [admin] ssh"),
        ("[admin]\n", "[admin]\ntelnet = unix:t\n", "lab.ini:6: [admin] telnet"),
        ("[admin]\n", "[admin]\nhost_key = k\n", "lab.ini:6: [admin] host_key"),
        ("", "[capture]\n", "lab.ini:5: [capture]"),
        ("[capture]\n", "[capture]\nmax_age = 5s\n", "lab.ini:6: [capture] max_age"),
    ],
)
def test_what_is_not_followed_before_a_restart_is_named(old: str, new: str, named: str) -> None:
    done = planned(A + old, A + new)
    assert [str(location) for location in done.restart] == [named]
    assert planned(A + old, f"\n{A}{old}").restart == ()


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("stats", "hosts = lab.example"),
        ("stats", "listen = tcp:port=8007:interface=127.0.0.1:backlog=9"),
        ("admin", "user = me"),
        ("admin", "authorized_keys = keys"),
        ("admin", "passwd = passwords"),
        ("admin", "viewers = one, two"),
        ("admin", "max_sessions = 3"),
        ("admin", "idle_timeout = 1m"),
        ("admin", "ssh = tcp:2222:interface=127.0.0.1:backlog=9"),
    ],
)
def test_what_is_followed_is_in_force_and_nothing_is_said_of_it(section: str, option: str) -> None:
    old, new = read(f"{A}[{section}]\n"), read(f"{A}[{section}]\n{option}\n")
    assert plan(old, new, held(old), OPTIONS).restart == ()
    assert getattr(settled(old, new), section) == getattr(new, section)


def test_a_renewed_certificate_needs_no_restart() -> None:
    ssl = "[stats]\nlisten = ssl:8007:privateKey=a.key:certKey=a.pem, tls:certs:8008\n"
    old, new = read(A + ssl), read(A + ssl.replace("a.", "b.").replace("certs", "others"))
    assert plan(old, new, held(old), OPTIONS).restart == ()
    assert settled(old, new).stats == new.stats


def test_what_needs_a_restart_stays_as_it_was_beside_what_is_followed() -> None:
    old = read(
        f"{A}[sockd]\nstate = a\n[stats]\nlisten = ssl:8007:privateKey=a, tcp:8008\n"
        "[admin]\nssh = tcp:1\nhost_key = a\n"
    )
    new = read(
        f"{A}[stats]\nlisten = tcp:8009, ssl:8007:privateKey=b\nhosts = b\n"
        "[admin]\nssh = tcp:2\nuser = b\n[capture]\n"
    )
    after = settled(old, new)
    assert (after.state, after.capture) == (old.state, None)
    assert after.stats is not None
    assert [one.text for one in after.stats.listen] == ["ssl:8007:privateKey=b", "tcp:8008"]
    assert after.stats.hosts == ("b",)
    assert after.admin is not None
    assert old.admin is not None
    assert (after.admin.ssh, after.admin.host_key) == (old.admin.ssh, old.admin.host_key)
    assert after.admin.user == "b"
    named = {location.option for location in plan(after, new, held(after), OPTIONS).restart}
    assert named == {"state", "listen", "ssh", ""}


NAMES = st.sampled_from("abcd")
PORTS = st.sampled_from([7001, 7002, 7003, 7004, 0])
SECTIONS = st.dictionaries(
    NAMES,
    st.tuples(st.sampled_from(["multi", "tcp"]), st.lists(PORTS, min_size=1, max_size=3)),
    min_size=1,
)


def as_text(sections: dict[str, tuple[str, list[int]]]) -> str:
    """Return a file in which no port but 0 is there twice."""
    seen: set[int] = set()
    text = ""
    for name, (kind, numbers) in sections.items():
        own = [one for one in dict.fromkeys(numbers) if not one or one not in seen]
        seen.update(own)
        listen = ", ".join(f"tcp:{number}" for number in own) or "tcp:0"
        text += service(name, listen, kind)
    return text


@given(SECTIONS, SECTIONS, st.sets(NAMES))
def test_every_service_and_every_socket_has_one_fate(
    old: dict[str, tuple[str, list[int]]],
    new: dict[str, tuple[str, list[int]]],
    stopped: set[str],
) -> None:
    before, after = read(as_text(old)), read(as_text(new))
    bound = held(before, tuple(stopped))
    done = plan(before, after, bound, OPTIONS)
    groups = [done.kept, done.changed, done.replaced, done.added]
    assert sorted(one.name for group in groups for one in group) == sorted(new)
    assert {one.name for one in done.removed} == old.keys() - new.keys()
    wanted = Counter(
        one.identity
        for spec in after.services
        if spec.name in bound or spec in done.added
        for one in spec.listen
    )
    had = Counter(one.identity for some in bound.values() for one in some)
    moved = Counter(move.endpoint.identity for move in done.moves)
    fresh = Counter(one.identity for some in done.fresh.values() for one in some)
    stays = wanted - moved - fresh
    assert stays + moved + fresh == wanted
    assert stays + moved <= had
    assert all(one not in had - stays - moved for one in fresh if "port=0" not in one)
    assert not plan(after, after, held(after), OPTIONS).moves
