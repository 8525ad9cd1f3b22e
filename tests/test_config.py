"""Reading of valid configuration files."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sockd.config.load import load, parse
from sockd.config.specs import AdminSpec, Configuration, ServiceSpec, StatsSpec
from sockd.config.values import Option, duration
from sockd.errors import ConfigurationError
from tests.configurations import FILE, KINDS, REPLIES, SERVICE, FakeKind, errors, read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sockd.config.endpoint import Endpoint

PROJECT = Path(__file__).parent.parent

SAMPLE = """\
[sockd]
; shown in stats, log and page; default: the host's name
name = lab
; directory (0700) for what sockd makes: host key, first password
state = var
; at shutdown, how long live connections may finish
drain = 5s
; closed connections remembered
history = 1000

# one per service; NAME is [A-Za-z0-9._-]+
[service:NAME]
; tcp, udp, multi, or the name of an installed plugin
kind = tcp
; one endpoint a line
listen = tcp:65432:interface=127.0.0.1
; echo, upper, or the name of an installed plugin
reply = echo
; upper: drop white space around each message before replying
strip = no
; close a connection after this many replies; 0: never
replies = 0
; multi. tcp is always 1
max_connections = 1000
; multi: refuse or wait. tcp is always wait
when_full = refuse
; listen(2)'s queue
backlog = 50
; 0: none
idle_timeout = 0

[stats]
listen = tcp:8007:interface=127.0.0.1
; more Host: names to answer to, beside localhost, loopback literals and the bound address
hosts =

[admin]
ssh = tcp:2222:interface=127.0.0.1
; off unless given; loopback or unix only
telnet =
user = admin
; OpenSSH format
authorized_keys =
; htpasswd file, bcrypt hashes (`htpasswd -B` makes them)
passwd =
; made in `state` at the first start
host_key =
"""


def texts(endpoints: Sequence[Endpoint]) -> list[str]:
    return [endpoint.text for endpoint in endpoints]


def only_service(configuration: Configuration) -> ServiceSpec:
    (service,) = configuration.services
    return service


@pytest.mark.parametrize("kind", ["tcp", "multi"])
def test_the_sample_of_the_manual_is_read_as_it_stands(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sockd.ini"
    path.write_text(SAMPLE.replace("kind = tcp", f"kind = {kind}"), encoding="utf-8")
    configuration = load(path, KINDS, REPLIES)
    assert (configuration.file, configuration.name) == (str(path), "lab")
    assert (configuration.state, configuration.drain) == (tmp_path / "var", 5.0)
    assert configuration.history == 1000
    service = only_service(configuration)
    assert (service.name, service.kind, service.reply) == ("NAME", kind, "echo")
    assert texts(service.listen) == ["tcp:65432:interface=127.0.0.1"]
    assert (service.strip, service.replies, service.idle_timeout) == (False, 0, 0.0)
    assert (service.max_connections, service.when_full) == (1000, "refuse")
    assert (service.backlog, dict(service.settings)) == (50, {})
    assert str(service.location) == f"{path}:12: [service:NAME]"
    stats, admin = configuration.stats, configuration.admin
    assert stats is not None
    assert (texts(stats.listen), stats.hosts) == (["tcp:8007:interface=127.0.0.1"], ())
    assert admin is not None
    assert texts(admin.ssh) == ["tcp:2222:interface=127.0.0.1"]
    assert (admin.telnet, admin.user) == ((), "admin")
    assert (admin.authorized_keys, admin.passwd, admin.host_key) == (None, None, None)
    assert {name: location.line for name, location in admin.locations.items()} == {
        "ssh": 38,
        "telnet": 40,
        "authorized_keys": 43,
        "passwd": 45,
        "host_key": 47,
        "viewers": 37,
    }


def test_what_is_left_out_has_the_value_of_the_sample() -> None:
    short = read("[service:NAME]\nkind = tcp\nlisten = tcp:1\n[stats]\n[admin]\n")
    assert (short.name, short.state) == (platform.node(), None)
    assert (short.drain, short.history) == (5.0, 1000)
    service = only_service(short)
    plain = ServiceSpec("NAME", "tcp", service.listen, service.location)
    assert service == plain
    assert short.stats is not None
    assert short.stats == StatsSpec(short.stats.listen)
    assert texts(short.stats.listen) == ["tcp:8007:interface=127.0.0.1"]
    assert short.admin is not None
    assert short.admin == AdminSpec(short.admin.locations, short.admin.ssh)
    assert texts(short.admin.ssh) == ["tcp:2222:interface=127.0.0.1"]


def test_balancers_are_those_of_their_own_service() -> None:
    listed = "proxy = 10.0.0.0/8, 2001:db8::/32\n    ::ffff:192.0.2.1\n"
    text = f"[service:a]\nkind = tcp\nlisten = tcp:1, tcp6:2, systemd:domain=INET:index=0\n{listed}"
    first, second = read(text + "[service:b]\nkind = tcp\nlisten = unix:s\nproxy =\n").services
    assert [str(one) for one in first.proxy] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]
    assert second.proxy == ()


def test_stats_and_shell_are_off_without_their_sections() -> None:
    configuration = read(SERVICE)
    assert (configuration.stats, configuration.admin) == (None, None)


def test_stats_and_shell_can_be_told_to_listen_nowhere() -> None:
    configuration = read(SERVICE + "[stats]\nlisten =\n[admin]\nssh =\n")
    assert configuration.stats is not None
    assert configuration.admin is not None
    assert configuration.endpoints == only_service(configuration).listen


def test_all_endpoints_of_a_file_are_known() -> None:
    configuration = read(
        SERVICE + "[stats]\n[admin]\ntelnet = unix:t\n[service:b]\nkind = udp\nlisten = udp:0\n"
    )
    assert [endpoint.kind for endpoint in configuration.endpoints] == [
        "tcp",
        "udp",
        "tcp",
        "tcp",
        "unix",
    ]


@pytest.mark.parametrize("name", ["lab", "classroom", "remote"])
def test_the_files_that_are_shipped_are_right(name: str) -> None:
    configuration = load(PROJECT / "config" / f"{name}.ini", KINDS, REPLIES)
    assert configuration.name == name
    assert [(s.name, s.kind, [e.port for e in s.listen]) for s in configuration.services] == [
        ("simple-tcp", "tcp", [65432]),
        ("simple-udp", "udp", [65431]),
        ("multi", "multi", [65433]),
    ]
    views = configuration.endpoints[3:]
    assert [endpoint.port for endpoint in views] == [8007, 2222]
    assert all(endpoint.is_private for endpoint in views)
    public = [s.name for s in configuration.services if not s.listen[0].is_private]
    assert public == (["simple-tcp", "simple-udp", "multi"] if name == "remote" else [])


def test_the_lab_is_shipped_inside_the_package() -> None:
    inside, outside = PROJECT / "sockd" / "lab.ini", PROJECT / "config" / "lab.ini"
    assert inside.read_bytes() == outside.read_bytes()


def test_the_classroom_serves_the_clients_of_the_class() -> None:
    configuration = load(PROJECT / "config" / "classroom.ini", KINDS, REPLIES)
    assert [(s.reply, s.strip, s.replies) for s in configuration.services] == [
        ("echo", False, 0),
        ("upper", True, 0),
        ("upper", True, 1),
    ]


@pytest.mark.parametrize(
    "listen",
    [
        "listen = tcp:1, tcp:2, tcp:3",
        "listen = tcp:1\n    tcp:2\n    tcp:3",
        "listen =\n  tcp:1,\n\n  # remark\n  tcp:2, tcp:3,\n",
        "listen: tcp:1,tcp:2,,tcp:3",
    ],
)
def test_a_list_is_separated_by_commas_or_lines(listen: str) -> None:
    service = only_service(read(f"[service:x]\nkind = tcp\n{listen}\n"))
    assert texts(service.listen) == ["tcp:1", "tcp:2", "tcp:3"]


def test_an_endpoint_knows_its_own_line() -> None:
    service = only_service(read("[service:x]\nkind = tcp\nlisten = tcp:1\n\n  tcp:2\n"))
    assert [str(endpoint.location) for endpoint in service.listen] == [
        "lab.ini:3: [service:x] listen",
        "lab.ini:5: [service:x] listen",
    ]


def test_hosts_are_a_list_too() -> None:
    stats = read(SERVICE + "[stats]\nhosts = Lab.example, 192.0.2.1\n  [::1]\n").stats
    assert stats is not None
    assert stats.hosts == ("lab.example", "192.0.2.1", "[::1]")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lab.ini"
    path.write_text(
        "[sockd]\nstate = var/lib\n"
        "[service:x]\nkind = multi\nlisten = unix:x.sock\n  tls:certs:443\n"
        "  ssl:444:privateKey=key.pem:certKey=/etc/cert.pem\n  ssl:445\n"
        "[stats]\nlisten = unix:../stats.sock\n"
        "[admin]\nssh =\ntelnet = unix:telnet.sock\nauthorized_keys = keys\n"
        "passwd = /etc/passwords\nhost_key = ./host_key\n",
        encoding="utf-8",
    )
    configuration = load(path, KINDS, REPLIES)
    assert configuration.state == tmp_path / "var/lib"
    assert [endpoint.description for endpoint in configuration.endpoints] == [
        f"unix:address={tmp_path}/x.sock",
        f"tls:path={tmp_path}/certs:port=443",
        f"ssl:port=444:privateKey={tmp_path}/key.pem:certKey=/etc/cert.pem",
        f"ssl:port=445:privateKey={tmp_path}/server.pem",
        f"unix:address={tmp_path}/../stats.sock",
        f"unix:address={tmp_path}/telnet.sock",
    ]
    admin = configuration.admin
    assert admin is not None
    assert admin.authorized_keys == tmp_path / "keys"
    assert admin.passwd == Path("/etc/passwords")
    assert admin.host_key == tmp_path / "host_key"


def test_paths_hold_when_the_daemon_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.ini").write_text(SERVICE + "[sockd]\nstate = var\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    configuration = load(Path("lab.ini"), KINDS, REPLIES)
    assert configuration.file == "lab.ini"
    assert configuration.state == tmp_path / "var"


def test_a_colon_in_a_folder_is_no_parameter(tmp_path: Path) -> None:
    folder = tmp_path / "a:b=c"
    folder.mkdir()
    path = folder / "lab.ini"
    path.write_text("[service:x]\nkind = tcp\nlisten = unix:s\n", encoding="utf-8")
    (endpoint,) = only_service(load(path, KINDS, REPLIES)).listen
    assert endpoint.path == f"{folder}/s"
    assert endpoint.description.endswith(r"/a\:b=c/s")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["Unix", "DOS", "old Mac", "byte order mark", "no last line end"],
)
def test_every_editor_will_do(encode: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "lab.ini"
    path.write_bytes(encode("[sockd]\nname = Büro 100%\n" + SERVICE))
    configuration = load(path, KINDS, REPLIES)
    assert configuration.name == "Büro 100%"
    assert only_service(configuration).listen[0].location.line == 5


def test_a_plugin_declares_options_of_its_own() -> None:
    pace = Option("pace", duration, "1s")
    size = Option[object]("maxSize", int, "10")
    kinds = {"slow": FakeKind("slow", options=[pace, size])}

    def settings(text: str) -> dict[str, object]:
        section = f"[service:x]\nkind = slow\nlisten = tcp:1\n{text}\n"
        return dict(only_service(parse(FILE, section, kinds, REPLIES)).settings)

    assert settings("") == {"pace": 1.0, "maxSize": 10}
    assert settings("pace = 2m\nmaxSize = 5") == {"pace": 120.0, "maxSize": 5}
    assert errors(SERVICE + "pace = 2m\n")[0].startswith(
        "lab.ini:4: [service:echo] pace: unknown option (known: kind, reply, listen, "
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "soon",
            "'soon' is not a valid duration (a number and ms, s, m or h, such as 500ms or 5s)",
        ),
        ("odd", "'odd' is not valid: 'odd' (such as 0)"),
    ],
)
def test_what_a_plugins_option_does_not_take_is_an_error_in_its_line(
    text: str, message: str
) -> None:
    def parse_pace(text: str) -> object:
        if text == "odd":
            raise KeyError(text)
        return duration(text)

    kinds = {"slow": FakeKind("slow", options=[Option("pace", parse_pace, "0")])}
    section = f"[service:x]\nkind = slow\nlisten = tcp:1\npace = {text}\n"
    with pytest.raises(ConfigurationError) as caught:
        parse(FILE, section, kinds, REPLIES)
    assert str(caught.value) == f"lab.ini:4: [service:x] pace: {message}"
