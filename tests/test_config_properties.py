"""Whatever a configuration file holds, reading it ends in a configuration or in clear errors."""

from __future__ import annotations

import configparser
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sockd.config import ini
from sockd.config.specs import Configuration
from sockd.errors import ConfigurationError
from tests.configurations import FILE, SERVICE, read

LINE = re.compile(r"lab\.ini:[1-9][0-9]*: (\[.+?\](:| .+?:) )?.+ \(.+\)")

NAMES = st.sampled_from(
    [
        "name",
        "state",
        "drain",
        "history",
        "kind",
        "listen",
        "reply",
        "strip",
        "replies",
        "max_connections",
        "when_full",
        "backlog",
        "idle_timeout",
        "proxy",
        "hosts",
        "ssh",
        "telnet",
        "user",
        "authorized_keys",
        "passwd",
        "host_key",
        "knd",
        "lisen",
    ]
)
WORDS = st.sampled_from(
    [
        *[
            "tcp",
            "udp",
            "multi",
            "echo",
            "upper",
            "yes",
            "no",
            "0",
            "-1",
            "1",
            "5s",
            "1h",
            "99999h",
            "refuse",
            "wait",
            "lab.example",
            "10.0.0.0/8",
        ],
        *[
            "tcp:1",
            "tcp:70000",
            "tcp:",
            "tcp6:2",
            "tls:certs",
            "ssl:443",
            "unix:s",
            "haproxy:tcp:1",
            "systemd:",
            "TCP:1",
        ],
        *[
            "tcp:1:interface=::1",
            "udp:1:interface=127.0.0.1",
            "udp:0",
            "::",
            "=",
            ",",
            "%",
            "%(x)s",
            ";",
            "#",
            "\\",
            "[",
            "]",
        ],
        r"tcp:1:interface=\:\:1",
        "\x1b[31m",
        "\ufeff",
        "٣",
    ]
)
SECTIONS = st.sampled_from(
    [
        "sockd",
        "service:a",
        "service:b",
        "service:",
        "service",
        "stats",
        "admin",
        "stat",
        "DEFAULT",
        "[",
        "\x1b",
    ]
)
VALUES = st.lists(WORDS, max_size=3).map(" ".join) | st.lists(WORDS, max_size=3).map(",".join)
LINES = st.one_of(
    SECTIONS.map("[{}]".format),
    st.builds("{}{} {}".format, NAMES, st.sampled_from(["=", ":", " =", ""]), VALUES),
    st.builds("{}{}".format, st.sampled_from([" ", "\t", "    ", "\x1f", "\u2003"]), VALUES),
    st.sampled_from(["", " ", "# remark", "  ; remark", "\r", "\x0c", "\x85", "\u2028x"]),
    st.text(max_size=12),
)
FRAGMENTS = st.lists(LINES, max_size=20).map("\n".join)
TEXTS = st.text() | FRAGMENTS | FRAGMENTS.map(SERVICE.__add__)

bounded = settings(max_examples=300, deadline=None)


def configuration_or_error(text: str) -> Configuration | ConfigurationError:
    try:
        return read(text)
    except ConfigurationError as error:
        return error


@bounded
@given(TEXTS)
@example("")
@example("\0")
@example("\ud800 = \udfff")
def test_a_text_is_a_configuration_or_clear_errors(text: str) -> None:
    outcome = configuration_or_error(text)
    if isinstance(outcome, Configuration):
        assert outcome.services
        assert all(service.listen for service in outcome.services)
        return
    lines = str(outcome).split("\n")
    assert len(lines) == len(outcome.problems)
    assert all(LINE.fullmatch(line) and line.isprintable() for line in lines)
    numbers = [problem.location.line for problem in outcome.problems]
    assert numbers == sorted(numbers)
    assert numbers[-1] <= text.count("\n") + 1


@bounded
@given(FRAGMENTS | st.text())
@example("[a]\nx = 1\n\n  2\n\n\n")
@example("[a]\n x = 1\n y = 2\n  z = 3\n")
@example("[a]x]y\nx=1")
@example("[DEFAULT]\nx = 1\n[a]\n")
@example("[a]\nÉ = 1\n é")
@example("[a]\nx =\x1f1\n\x1c2")
def test_what_configparser_accepts_is_read_as_configparser_reads_it(text: str) -> None:
    theirs = configparser.ConfigParser(
        interpolation=None, default_section="\n", strict=True, delimiters=("=", ":")
    )
    try:
        theirs.read_string(text, FILE)
    except configparser.Error:
        assert ini.read(FILE, text).problems
        return
    ours = ini.read(FILE, text)
    assert ours.problems == []
    assert {
        section.name: {name: entry.text for name, entry in section.entries.items()}
        for section in ours.sections.values()
    } == {name: dict(theirs.items(name)) for name in theirs.sections()}
