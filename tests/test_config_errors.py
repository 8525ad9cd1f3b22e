"""Every error in a configuration file is one line with its location, a message and a hint."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from sockd.config.load import load, parse
from sockd.errors import ConfigurationError, InvalidValue
from sockd.limits.spec import LimitsSpec
from sockd.support.files import LARGEST_FILE
from tests.configurations import KINDS, REPLIES, SERVICE, errors

if TYPE_CHECKING:
    from pathlib import Path

    from sockd.config.endpoint import Endpoint

_ADDRESS = r"(an IPv4 or IPv6 address, the colons of IPv6 written \:, such as interface=\:\:1)"
_DEFAULTS = ", ".join(field.name for field in fields(LimitsSpec))
_SOCKD = (
    f"(known: idle_timeout, {_DEFAULTS}, name, state, drain, history, lane, fast_path, io_uring)"
)
_EXAMPLE = "(such as tcp:65432:interface=127.0.0.1)"
_PORT = "(a number from 0 to 65535; 0 selects a free port)"
_TAKEN = "(use different ones; port 0 selects a free port)"
_NO_PROXY = "(use a tcp endpoint, or remove proxy)"
_DURATION = "(a number and ms, s, m or h, such as 500ms or 5s)"


def service(*options: str, name: str = "x", kind: str = "tcp") -> str:
    """Return a section whose options begin in line 3."""
    return "\n".join([f"[service:{name}]", f"kind = {kind}", *options, ""])


def listening(endpoint: str, kind: str = "tcp") -> str:
    return service(f"listen = {endpoint}", kind=kind)


TABLE: dict[str, tuple[str, list[str]]] = {
    "empty file": (
        "",
        ["1: no services are defined (add a section such as [service:echo] with kind and listen)"],
    ),
    "no service": (
        "[sockd]\nname = lab\n",
        ["1: no services are defined (add a section such as [service:echo] with kind and listen)"],
    ),
    "option before any section": (
        "name = lab\n" + SERVICE,
        ["1: 'name = lab' is outside any section (begin with [sockd])"],
    ),
    "line without =": (
        "[sockd]\nname\n" + SERVICE,
        ["2: [sockd]: 'name' is not an option (option = value)"],
    ),
    "value without a name": (
        "[sockd]\n= lab\n" + SERVICE,
        ["2: [sockd]: '= lab' is not an option (option = value)"],
    ),
    "unknown section": (
        "[zebra]\n" + SERVICE,
        [
            (
                "1: [zebra]: unknown section 'zebra'"
                " (known: sockd, service:NAME, stats, admin, capture)"
            )
        ],
    ),
    "misspelt section": (
        SERVICE + "[stat]\n",
        ["4: [stat]: unknown section 'stat' (did you mean stats?)"],
    ),
    "section in upper case": (
        SERVICE + "[ADMIN]\n",
        ["4: [ADMIN]: unknown section 'ADMIN' (did you mean admin?)"],
    ),
    "misspelt service section": (
        "[servce:simple-tcp]\nkind = tcp\n",
        [
            (
                "1: [servce:simple-tcp]: unknown section 'servce:simple-tcp' "
                "(did you mean service:simple-tcp?)"
            )
        ],
    ),
    "service without a name": (
        "[service]\nkind = tcp\n",
        ["1: [service]: unknown section 'service' (did you mean service:NAME?)"],
    ),
    "service with an empty name": (
        service("listen = tcp:1", name=""),
        [
            (
                "1: [service:]: '' is not a valid service name "
                "([service:NAME] with 1 to 64 letters, digits, dots, underscores and hyphens)"
            )
        ],
    ),
    "bad service name": (
        service("listen = tcp:1", name="über uns"),
        [
            (
                "1: [service:über uns]: 'über uns' is not a valid service name "
                "([service:NAME] with 1 to 64 letters, digits, dots, underscores and hyphens)"
            )
        ],
    ),
    "duplicate section": (
        SERVICE + "[sockd]\n" + SERVICE,
        ["5: [service:echo]: duplicate section (first defined in line 1)"],
    ),
    "duplicate option": (
        SERVICE + "Kind = multi\n",
        ["4: [service:echo] kind: duplicate option (first defined in line 2)"],
    ),
    "misspelt option": (
        SERVICE + "max_conections = 5\n",
        ["4: [service:echo] max_conections: unknown option (did you mean max_connections?)"],
    ),
    "option of another section": (
        "[sockd]\nuser = me\n" + SERVICE,
        [f"2: [sockd] user: unknown option {_SOCKD}"],
    ),
    "option of a misspelt name in [stats]": (
        SERVICE + "[stats]\nlisten =\nhost = lab\n",
        ["6: [stats] host: unknown option (did you mean hosts?)"],
    ),
    "option of a misspelt name in [admin]": (
        SERVICE + "[admin]\nautorized_keys = keys\n",
        ["5: [admin] autorized_keys: unknown option (did you mean authorized_keys?)"],
    ),
    "missing kind": (
        "[service:x]\nlisten = tcp:1\n",
        ["1: [service:x] kind: no kind is given (known: tcp, multi, udp)"],
    ),
    "misspelt kind": (
        service("listen = tcp:1", kind="mutli"),
        ["2: [service:x] kind: unknown kind 'mutli' (did you mean multi?)"],
    ),
    "comment behind a value": (
        service("listen = tcp:1", kind="tcp ; one at a time"),
        [
            (
                "2: [service:x] kind: unknown kind 'tcp ; one at a time' "
                "(known: tcp, multi, udp; a comment must be on its own line)"
            )
        ],
    ),
    "misspelt reply": (
        SERVICE + "reply = uper\n",
        ["4: [service:echo] reply: unknown reply 'uper' (did you mean upper?)"],
    ),
    "empty reply": (
        SERVICE + "reply =\n",
        ["4: [service:echo] reply: no reply is given (known: echo, upper)"],
    ),
    "missing listen": (
        service(),
        [
            (
                "1: [service:x] listen: no value is given "
                "(an endpoint such as tcp:65432:interface=127.0.0.1)"
            )
        ],
    ),
    "empty listen": (
        service("listen =", kind="udp"),
        [
            (
                "3: [service:x] listen: no value is given "
                "(an endpoint such as udp:65432:interface=127.0.0.1)"
            )
        ],
    ),
    "bare port": (
        listening("65432"),
        [f"3: [service:x] listen: '65432' is not a valid endpoint {_EXAMPLE}"],
    ),
    "address and port": (
        listening("127.0.0.1:65432"),
        [f"3: [service:x] listen: '127.0.0.1:65432' is not a valid endpoint {_EXAMPLE}"],
    ),
    "endpoint that begins with a parameter": (
        listening("port=65432"),
        [f"3: [service:x] listen: 'port=65432' is not a valid endpoint {_EXAMPLE}"],
    ),
    "port 65536": (
        listening("tcp:65536"),
        ["3: [service:x] listen: port 65536 is out of range (0 to 65535; 0 selects a free port)"],
    ),
    "port 70000": (
        listening("tcp:70000:interface=127.0.0.1"),
        ["3: [service:x] listen: port 70000 is out of range (0 to 65535; 0 selects a free port)"],
    ),
    "port of many digits": (
        listening("udp:" + "9" * 99, kind="udp"),
        [
            (
                f"3: [service:x] listen: port {'9' * 60}… is out of range "
                "(0 to 65535; 0 selects a free port)"
            )
        ],
    ),
    "port -1": (
        listening("tcp:-1"),
        [f"3: [service:x] listen: '-1' is not a valid port {_PORT}"],
    ),
    "port abc": (
        listening("tcp:port=abc"),
        [f"3: [service:x] listen: 'abc' is not a valid port {_PORT}"],
    ),
    "port in other digits": (
        listening("tcp:٣"),
        [f"3: [service:x] listen: '٣' is not a valid port {_PORT}"],
    ),
    "no port": (
        service("listen = tcp:interface=127.0.0.1", "    tcp:", "    tcp"),
        [f"{line}: [service:x] listen: the endpoint has no port {_PORT}" for line in (3, 4, 5)],
    ),
    "unescaped IPv6": (
        listening("tcp:1:interface=::1"),
        [(f"3: [service:x] listen: empty parameter between two colons (tcp:PORT; {_ADDRESS[1:]}")],
    ),
    "bad interface": (
        listening("tcp:1:interface=127.0.0.256"),
        [f"3: [service:x] listen: interface '127.0.0.256' is not an IP address {_ADDRESS}"],
    ),
    "host name for an interface": (
        listening("udp:1:interface=lab.example", kind="udp"),
        [f"3: [service:x] listen: interface 'lab.example' is not an IP address {_ADDRESS}"],
    ),
    "IPv4 address with a scope": (
        listening("tcp:1:interface=127.0.0.1%lo"),
        [f"3: [service:x] listen: interface '127.0.0.1%lo' is not an IP address {_ADDRESS}"],
    ),
    "misspelt endpoint parameter": (
        listening("tcp:1:interfce=127.0.0.1"),
        [
            (
                "3: [service:x] listen: tcp endpoints have no parameter 'interfce' "
                "(did you mean interface?)"
            )
        ],
    ),
    "endpoint parameter given twice": (
        listening("tcp:1:port=2"),
        ["3: [service:x] listen: 'port' is given twice (give it once)"],
    ),
    "too many endpoint parameters": (
        listening("udp:1:127.0.0.1:50", kind="udp"),
        ["3: [service:x] listen: udp endpoints do not take 3 parameters (udp:port:interface)"],
    ),
    "bad backlog of an endpoint": (
        listening("tcp:1:backlog=many"),
        [
            (
                "3: [service:x] listen: backlog 'many' is not valid "
                "(the length of listen(2)'s queue, such as 50)"
            )
        ],
    ),
    "bad mode of a unix socket": (
        listening("unix:s:mode=999"),
        ["3: [service:x] listen: mode '999' is not valid (an octal mode, such as 660)"],
    ),
    "bad lockfile of a unix socket": (
        listening("unix:s:lockfile=yes"),
        ["3: [service:x] listen: lockfile 'yes' is not valid (0 or 1)"],
    ),
    "unix socket without a path": (
        listening("unix:"),
        ["3: [service:x] listen: the unix endpoint has no path (unix:PATH)"],
    ),
    "TLS without a path": (
        listening("tls:port=443"),
        ["3: [service:x] listen: the tls endpoint has no path (tls:PATH)"],
    ),
    "udp endpoint for a stream kind": (
        listening("udp:65432:interface=127.0.0.1"),
        [
            (
                "3: [service:x] listen: udp endpoints carry datagrams; a stream endpoint is "
                "required (tcp:65432:interface=127.0.0.1)"
            )
        ],
    ),
    "standard input for a stream kind": (
        listening("stdio:"),
        [f"3: [service:x] listen: clients cannot connect to a stdio endpoint {_EXAMPLE}"],
    ),
    "tcp endpoint for a datagram kind": (
        listening("tcp:65432", kind="udp"),
        [
            (
                "3: [service:x] listen: tcp endpoints carry streams; a udp endpoint is required "
                "(udp:PORT:interface=ADDRESS)"
            )
        ],
    ),
    "udp endpoint for the stats": (
        SERVICE + "[stats]\nlisten = udp:1:interface=\\:\\:1\n",
        [
            (
                "5: [stats] listen: udp endpoints carry datagrams; a stream endpoint is required "
                r"(tcp:1:interface=\:\:1)"
            )
        ],
    ),
    "later line of a list": (
        service("listen = tcp:1", "    # comment", "", "    tcp:2, tcp:x,", "    tcp:y"),
        [
            f"6: [service:x] listen: 'x' is not a valid port {_PORT}",
            f"7: [service:x] listen: 'y' is not a valid port {_PORT}",
        ],
    ),
    "two services on one port": (
        SERVICE + "[service:b]\nkind = multi\nlisten = tcp:65432:interface=127.0.0.1\n",
        [f"6: [service:b] listen: port 65432 is already used by [service:echo], line 3 {_TAKEN}"],
    ),
    "one port twice in a line": (
        listening("tcp:1, tcp:1"),
        [f"3: [service:x] listen: port 1 is already used by [service:x], line 3 {_TAKEN}"],
    ),
    "all addresses against one": (
        service("listen = tcp:1", "    tcp:1:interface=127.0.0.1"),
        [f"4: [service:x] listen: port 1 is already used by [service:x], line 3 {_TAKEN}"],
    ),
    "one address against all": (
        service(r"listen = tcp:1:interface=\:\:1", "    tcp6:1"),
        [f"4: [service:x] listen: port 1 is already used by [service:x], line 3 {_TAKEN}"],
    ),
    "localhost against its address": (
        service("listen = tcp:1:interface=127.0.0.1", "    tcp:1:interface=localhost"),
        [f"4: [service:x] listen: port 1 is already used by [service:x], line 3 {_TAKEN}"],
    ),
    "stats before a service, on its port": (
        "[stats]\nlisten = tcp:65432\n" + SERVICE,
        [f"5: [service:echo] listen: port 65432 is already used by [stats], line 2 {_TAKEN}"],
    ),
    "default port of the stats": (
        listening("tcp:8007") + "[stats]\n",
        [f"4: [stats] listen: port 8007 is already used by [service:x], line 3 {_TAKEN}"],
    ),
    "shell on a service's port": (
        listening("tcp:2222") + "[admin]\ntelnet = tcp:2222:interface=127.0.0.1\n",
        [
            f"4: [admin] ssh: port 2222 is already used by [service:x], line 3 {_TAKEN}",
            f"5: [admin] telnet: port 2222 is already used by [service:x], line 3 {_TAKEN}",
        ],
    ),
    "telnet for other machines": (
        SERVICE + "[admin]\ntelnet = tcp:2323\n",
        [
            (
                "5: [admin] telnet: 'tcp:2323' is reachable from other machines without encryption "
                "(a loopback address such as interface=127.0.0.1, or unix:PATH)"
            )
        ],
    ),
    "empty user": (
        SERVICE + "[admin]\nuser =\n",
        [
            (
                "5: [admin] user: '' is not a valid user name "
                "(letters, digits and punctuation, without white space or colons)"
            )
        ],
    ),
    "user with a colon": (
        SERVICE + "[admin]\nuser = a:b\n",
        [
            (
                "5: [admin] user: 'a:b' is not a valid user name "
                "(letters, digits and punctuation, without white space or colons)"
            )
        ],
    ),
    "host with a scheme": (
        SERVICE + "[stats]\nhosts = lab.example\n        http://lab.example/\n",
        [
            (
                "6: [stats] hosts: 'http://lab.example/' is not a valid host name "
                "(a name or an address, without a scheme, a port or a path)"
            )
        ],
    ),
    "host with a port": (
        SERVICE + "[stats]\nhosts = lab.example:8007\n",
        [
            (
                "5: [stats] hosts: 'lab.example:8007' is not a valid host name "
                "(a name or an address, without a scheme, a port or a path)"
            )
        ],
    ),
    "bad duration": (
        SERVICE + "idle_timeout = soon\n",
        [f"4: [service:echo] idle_timeout: 'soon' is not a valid duration {_DURATION}"],
    ),
    "duration without a unit": (
        "[sockd]\ndrain = 5\n" + SERVICE,
        [f"2: [sockd] drain: '5' is not a valid duration {_DURATION}"],
    ),
    "negative duration": (
        "[sockd]\ndrain = -5s\n" + SERVICE,
        [f"2: [sockd] drain: '-5s' is not a valid duration {_DURATION}"],
    ),
    "empty duration": (
        "[sockd]\ndrain =\n" + SERVICE,
        [f"2: [sockd] drain: '' is not a valid duration {_DURATION}"],
    ),
    "duration of many digits": (
        "[sockd]\ndrain = 99999999999999999999s\n" + SERVICE,
        [
            (
                "2: [sockd] drain: '99999999999999999999s' is longer than a year "
                "(8784h at most, or 0 for none)"
            )
        ],
    ),
    "duration too long": (
        "[sockd]\ndrain = 99999h\n" + SERVICE,
        ["2: [sockd] drain: '99999h' is longer than a year (8784h at most, or 0 for none)"],
    ),
    "bad boolean": (
        SERVICE + "strip = maybe\n",
        ["4: [service:echo] strip: 'maybe' is not a boolean (yes or no)"],
    ),
    "negative replies": (
        SERVICE + "replies = -1\n",
        [
            (
                "4: [service:echo] replies: '-1' is not a valid number "
                "(a whole number from 0 to 1000000000)"
            )
        ],
    ),
    "no connections": (
        SERVICE + "max_connections = 0\n",
        [
            (
                "4: [service:echo] max_connections: '0' is not a valid number "
                "(a whole number from 1 to 1000000)"
            )
        ],
    ),
    "backlog": (
        SERVICE + "backlog = 65536\n",
        [
            (
                "4: [service:echo] backlog: '65536' is not a valid number "
                "(a whole number from 1 to 65535)"
            )
        ],
    ),
    "history": (
        "[sockd]\nhistory = 1e3\n" + SERVICE,
        ["2: [sockd] history: '1e3' is not a valid number (a whole number from 0 to 100000)"],
    ),
    "capture of nearly nothing": (
        SERVICE + "[capture]\nmax_size = 10KB\ninterface = -w/etc/passwd\nmax_sise = 1MiB\n",
        [
            "5: [capture] max_size: '10KB' is too small (1MiB or more)",
            (
                "6: [capture] interface: '-w/etc/passwd' is not a valid interface name"
                " (any, or a name that `ip link` shows, such as eth0)"
            ),
            "7: [capture] max_sise: unknown option (did you mean max_size?)",
        ],
    ),
    "when_full": (
        SERVICE + "when_full = refuses\n",
        ["4: [service:echo] when_full: 'refuses' is not a valid value (refuse or wait)"],
    ),
    "PROXY headers where none can be read": (
        service(
            *("listen = tcp:1", "    ssl:2", "    unix:lab.sock", "    haproxy:tcp:3"),
            "proxy = 127.0.0.1, 10.0.0.1/8",
            kind="multi",
        ),
        [
            (
                "7: [service:x] proxy: '10.0.0.1/8' has host bits set"
                " (10.0.0.0/8, or the address without a prefix length)"
            ),
            (f"7: [service:x] proxy: clients of 'unix:lab.sock' have no IP address {_NO_PROXY}"),
            (
                "7: [service:x] proxy: the PROXY header cannot be read from 'haproxy:tcp:3'"
                f" {_NO_PROXY}"
            ),
            (
                "7: [service:x] proxy: the PROXY header is sent before TLS, and 'ssl:2' expects TLS"
                f" first {_NO_PROXY}"
            ),
        ],
    ),
    "PROXY headers of datagrams": (
        service("listen = udp:1", "proxy = 127.0.0.1", kind="udp"),
        [
            (
                "4: [service:x] proxy: 'udp:1' receives datagrams; PROXY headers are read from"
                f" streams only {_NO_PROXY}"
            )
        ],
    ),
    "path of two lines": (
        "[sockd]\nstate = a\n  b\n" + SERVICE,
        [
            (
                r"2: [sockd] state: 'a\nb' contains unprintable characters "
                "(one line of plain text)"
            )
        ],
    ),
    "terminal escapes in names": (
        SERVICE + "[\x1b[31m]\n" + "[sockd]\n\x1b[2J = 1\n\u202eevil = 1\n",
        [
            (
                r"4: [\x1b[31m]: unknown section '\x1b[31m' "
                "(known: sockd, service:NAME, stats, admin, capture)"
            ),
            rf"6: [sockd] \x1b[2j: unknown option {_SOCKD}",
            rf"7: [sockd] \u202eevil: unknown option {_SOCKD}",
        ],
    ),
    "terminal escapes in values": (
        "[sockd]\nname = \x1b]0;x\x07\n" + service("listen = tcp:1:interface=\x9b1m", kind="\x08"),
        [
            (
                r"2: [sockd] name: '\x1b]0;x\x07' contains unprintable characters "
                "(one line of plain text)"
            ),
            r"4: [service:x] kind: unknown kind '\x08' (known: tcp, multi, udp)",
            (
                r"5: [service:x] listen: 'tcp:1:interface=\x9b1m' contains unprintable characters "
                f"{_EXAMPLE}"
            ),
        ],
    ),
    "long line": (
        "[sockd]\nname = " + 5000 * "x" + "\n    continued\ndrain = 0\n" + SERVICE,
        ["2: [sockd]: the line is 5007 characters long (4096 at most)"],
    ),
    "long line of a list": (
        service("listen = tcp:1,", "    " + 4097 * "x", "    tcp:x"),
        [
            "4: [service:x]: the line is 4097 characters long (4096 at most)",
            f"5: [service:x] listen: 'x' is not a valid port {_PORT}",
        ],
    ),
    "several errors": (
        (
            "[sockd]\ndran = 5s\nhistory = -1\n\n[service:a]\nkind = tpc\nlisten = tcp:x, tcp:y\n"
            "reply = shout\nstrip = 2\n\n[stat]\n\n[service:b]\nkind = udp\n\n[admin]\n"
            "ssh = tcp:70000\nuser = a b\n"
        ),
        [
            "2: [sockd] dran: unknown option (did you mean drain?)",
            "3: [sockd] history: '-1' is not a valid number (a whole number from 0 to 100000)",
            "6: [service:a] kind: unknown kind 'tpc' (did you mean tcp?)",
            f"7: [service:a] listen: 'x' is not a valid port {_PORT}",
            f"7: [service:a] listen: 'y' is not a valid port {_PORT}",
            "8: [service:a] reply: unknown reply 'shout' (known: echo, upper)",
            "9: [service:a] strip: '2' is not a boolean (yes or no)",
            "11: [stat]: unknown section 'stat' (did you mean stats?)",
            (
                "13: [service:b] listen: no value is given "
                "(an endpoint such as udp:65432:interface=127.0.0.1)"
            ),
            "17: [admin] ssh: port 70000 is out of range (0 to 65535; 0 selects a free port)",
            (
                "18: [admin] user: 'a b' is not a valid user name "
                "(letters, digits and punctuation, without white space or colons)"
            ),
        ],
    ),
}


@pytest.mark.parametrize(("text", "lines"), TABLE.values(), ids=TABLE)
def test_every_error_has_its_line(text: str, lines: list[str]) -> None:
    assert errors(text) == [f"lab.ini:{line}" for line in lines]


@pytest.mark.parametrize(
    "text",
    [
        service("listen = tcp:0", "    tcp:0"),
        listening("tcp:1") + service("listen = udp:1", name="y", kind="udp"),
        service("listen = tcp:1:interface=127.0.0.1", "    tcp:1:interface=127.0.0.2"),
        service(r"listen = tcp:1:interface=fe80\:\:1%a", r"    tcp:1:interface=fe80\:\:1%b"),
        service(r"listen = tcp:1:interface=127.0.0.1", r"    tcp:1:interface=\:\:1"),
        service("listen = unix:a", "    unix:b"),
        service("listen = systemd:domain=INET:index=0", "    haproxy:tcp:1"),
    ],
    ids=[
        "port 0 twice",
        "TCP and UDP",
        "two addresses",
        "two scopes",
        "IPv4 and IPv6",
        "two unix sockets",
        "endpoints that only Twisted knows",
    ],
)
def test_endpoints_that_differ_do_not_collide(text: str) -> None:
    assert errors(text) == []


def test_one_unix_socket_has_one_service(tmp_path: Path) -> None:
    text = service("listen = unix:s", "    unix:./s", f"    unix:{tmp_path}/s")
    taken = f"listen: {tmp_path}/s is already used by [service:x], line 3 {_TAKEN}"
    file = f"{tmp_path}/lab.ini"
    assert errors(text, file=file) == [f"{file}:{n}: [service:x] {taken}" for n in (4, 5)]


def test_an_unknown_kind_or_reply_lists_the_broken_plugins() -> None:
    text = service("listen = tcp:1", "reply = late", kind="sctp")
    assert errors(text, missing="; broken plugins: /lib/a.py") == [
        (
            "lab.ini:2: [service:x] kind: unknown kind 'sctp'; broken plugins: /lib/a.py "
            "(did you mean tcp?)"
        ),
        (
            "lab.ini:4: [service:x] reply: unknown reply 'late'; broken plugins: /lib/a.py "
            "(known: echo, upper)"
        ),
    ]


def test_an_endpoint_is_also_checked_by_the_caller() -> None:
    def check(endpoint: Endpoint) -> None:
        if endpoint.kind not in {"tcp", "unix"}:
            msg = f"no {endpoint.description}"
            raise InvalidValue(msg, "tcp")

    text = service("listen = tcp:1, tpc:2", "    haproxy:tcp:3", "strip = 5") + "[stats]\n"
    with pytest.raises(ConfigurationError) as caught:
        parse("lab.ini", text, KINDS, REPLIES, check=check)
    assert str(caught.value).split("\n") == [
        "lab.ini:3: [service:x] listen: no tpc:2 (tcp)",
        "lab.ini:4: [service:x] listen: no haproxy:tcp:3 (tcp)",
        "lab.ini:5: [service:x] strip: '5' is not a boolean (yes or no)",
    ]


def test_a_file_name_cannot_steer_the_terminal() -> None:
    assert errors("", file="\x1b[31m.ini")[0].startswith(r"\x1b[31m.ini:1: no services are defined")


def file_errors(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, KINDS, REPLIES)
    return str(caught.value).split("\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.ini"
    message = "the file cannot be read: No such file or directory (check the path after -c)"
    assert file_errors(path) == [f"{path}:1: {message}"]


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    message = "the file cannot be read: Is a directory (check the path after -c)"
    assert file_errors(tmp_path) == [f"{tmp_path}:1: {message}"]


def test_a_file_without_read_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.ini"
    path.write_text(SERVICE, encoding="utf-8")
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        message = "the file cannot be read: Permission denied (check the path after -c)"
        assert file_errors(path) == [f"{path}:1: {message}"]
    else:  # root reads everything
        assert load(path, KINDS, REPLIES).services[0].name == "echo"


def test_an_invalid_path_is_an_error_without_traceback(tmp_path: Path) -> None:
    (line,) = file_errors(tmp_path / "a\0b")
    hint = "(check the path after -c)"
    assert line == rf"{tmp_path}/a\x00b:1: the file cannot be read: embedded null byte {hint}"


FILES: dict[str, tuple[bytes, str]] = {
    "Latin-1": (
        b"[sockd]\nname = caf\xe9\n",
        "2: the line is not UTF-8 (save the file as UTF-8)",
    ),
    "Latin-1 after a byte order mark": (
        b"\xef\xbb\xbf[sockd]\r\n\xe9\n",
        "2: the line is not UTF-8 (save the file as UTF-8)",
    ),
    "UTF-16": (
        "[sockd]".encode("utf-16"),
        "1: the file is binary (an INI file in UTF-8)",
    ),
    "binary": (
        b"\x7fELF\n\n\0\n",
        "3: the file is binary (an INI file in UTF-8)",
    ),
    "long and binary": (
        b"\0" * (LARGEST_FILE + 1),
        "1: the file is binary (an INI file in UTF-8)",
    ),
    "10 MB of one line": (
        b"x" * 10_000_000,
        "1: the file is longer than 1048576 bytes (check that it is a configuration file)",
    ),
    "10 MB of lines": (
        b"#\n" * 5_000_000,
        "524289: the file is longer than 1048576 bytes (check that it is a configuration file)",
    ),
}


@pytest.mark.parametrize(("data", "line"), FILES.values(), ids=FILES)
def test_a_file_that_is_not_text_is_one_error(data: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.ini"
    path.write_bytes(data)
    assert file_errors(path) == [f"{path}:{line}"]


def test_the_longest_file_and_the_longest_line_are_read(tmp_path: Path) -> None:
    path = tmp_path / "lab.ini"
    start = f"{SERVICE}[sockd]\nname ={4090 * 'x'}\n"
    path.write_bytes(start.encode().ljust(LARGEST_FILE, b"\n"))
    assert load(path, KINDS, REPLIES).name == 4090 * "x"
