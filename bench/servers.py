"""PURE: the contenders, and how each is started.

The words of a command, of the environment and of a file are templates: `{port}`, `{stream_port}`,
`{datagram_port}`, `{stats_port}`, `{transport}` (`tcp` or `udp`), `{python}`, `{twistd}`, `{built}`
(the folder of compiled programs), `{here}` (that of the small servers), `{project}`, `{folder}`
(one of the process's own) and `{user}`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.works import Kind

PORT = 65450
"""The first port of the contenders that take a port; it is above the ephemeral ports."""

_STREAMS = frozenset({Kind.TCP, Kind.CONNECT})
_ECHO = _STREAMS | {Kind.UDP}


@dataclass(frozen=True)
class Contender:
    """A server that can be started.

    :ivar title: its name in the table.
    :ivar works: the works that it supports.
    :ivar programs: the programs that it needs.
    :ivar modules: the Python modules that it needs.
    :ivar files: names and templates of its files.
    :ivar hello: the data that is sent to check whether it answers.
    :ivar stats: the port of its stats endpoint, or 0.
    """

    name: str
    title: str
    works: frozenset[Kind]
    command: tuple[str, ...]
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    stream_port: int = PORT
    datagram_port: int = PORT
    stats: int = 0
    hello: bytes = b"\1"

    def port(self, transport: str) -> int:
        """Return the port for a transport."""
        return self.datagram_port if transport == "udp" else self.stream_port


def _sockd(
    name: str,
    title: str,
    *command: str,
    modules: tuple[str, ...] = (),
    files: tuple[tuple[str, str], ...] = (),
    first_port: int = 65440,
    works: frozenset[Kind] = _ECHO | {Kind.START, Kind.FAIR, Kind.WATCHED},
) -> Contender:
    configuration = "{folder}/bench.ini" if files else "{project}/config/bench.ini"
    return Contender(
        name,
        title,
        works,
        (
            *command,
            *("-n", "--pidfile=", "--logfile={folder}/sockd.log"),
            *("sockd", "-c", configuration),
        ),
        modules=modules,
        files=files,
        stream_port=first_port,
        datagram_port=first_port + 1,
        stats=first_port + 2,
    )


_FOR_SELECT = """\
[sockd]
name = bench
[service:multi]
kind = multi
listen = tcp:{stream_port}:interface=127.0.0.1
backlog = 4096
[service:udp]
kind = udp
listen = udp:{datagram_port}:interface=127.0.0.1
source_packets = 0
source_bytes = 0
total_packets = 0
total_bytes = 0
[stats]
listen = tcp:{stats_port}:interface=127.0.0.1
"""
"""config/bench.ini with other ports and without ``max_connections``: select(2) is limited to 1,024
descriptors.
"""

_FOR_UVLOOP = _FOR_SELECT.replace("backlog", "max_connections = 15000\nbacklog")

_WITHOUT_IO_URING = _FOR_UVLOOP.replace("[service:multi]", "io_uring = no\n[service:multi]")

_XINETD = """\
defaults
{{
    log_type = FILE /dev/null
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}}
service echo
{{
    type = INTERNAL UNLISTED
    id = echo-stream
    socket_type = stream
    protocol = tcp
    wait = no
    user = {user}
    bind = 127.0.0.1
    port = {port}
}}
"""

_CONTENDERS = (
    _sockd("sockd", "sockd, default reactor", "{twistd}", works=frozenset(Kind)),
    _sockd(
        "sockd-uvloop",
        "sockd, asyncio on uvloop",
        "{python}",
        "{here}/twistd_uvloop.py",
        modules=("uvloop",),
        files=(("bench.ini", _FOR_UVLOOP),),
        first_port=65443,
        works=frozenset(Kind),
    ),
    _sockd(
        "sockd-select",
        "sockd, select",
        *("{twistd}", "--reactor=select"),
        files=(("bench.ini", _FOR_SELECT),),
        first_port=65446,
    ),
    _sockd(
        "sockd-plain",
        "sockd, without io_uring",
        "{twistd}",
        files=(("bench.ini", _WITHOUT_IO_URING),),
        first_port=65437,
        works=_STREAMS,
    ),
    Contender("c", "C, epoll; UDP: a loop", _ECHO, ("{built}/{transport}_echo", "{port}")),
    Contender(
        "asyncio",
        "asyncio protocol",
        _ECHO,
        ("{python}", "{here}/asyncio_protocol.py", "{transport}", "{port}"),
    ),
    Contender(
        "asyncio-streams",
        "asyncio streams",
        _STREAMS,
        ("{python}", "{here}/asyncio_streams.py", "{port}"),
    ),
    Contender(
        "uvloop",
        "uvloop protocol",
        _ECHO,
        ("{python}", "{here}/asyncio_protocol.py", "--uvloop", "{transport}", "{port}"),
        modules=("uvloop",),
    ),
    Contender(
        "twisted",
        "Twisted Echo",
        _ECHO | {Kind.IDLE},
        ("{python}", "{here}/twisted_echo.py", "{transport}", "{port}"),
    ),
    Contender(
        "go",
        "Go net, one core",
        _ECHO,
        ("{built}/go_echo", "{transport}", "{port}"),
        programs=("go",),
        environment=(("GOMAXPROCS", "1"),),
    ),
    Contender(
        "xinetd",
        "xinetd's own echo",
        frozenset({Kind.TCP}),
        ("xinetd", "-dontfork", "-f", "{folder}/xinetd.conf", "-pidfile", "{folder}/xinetd.pid"),
        programs=("xinetd",),
        files=(("xinetd.conf", _XINETD),),
    ),
    Contender(
        "socat",
        "socat, fork",
        _STREAMS,
        ("socat", "TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=4096", "PIPE"),
        programs=("socat",),
    ),
    Contender(
        "ncat",
        "ncat --exec cat",
        _STREAMS,
        ("ncat", "-l", "-k", "-m", "10000", "--exec", "/bin/cat", "127.0.0.1", "{port}"),
        programs=("ncat",),
    ),
    Contender(
        "twistd-web",
        "twistd web",
        frozenset({Kind.START}),
        (
            *("{twistd}", "-n", "--pidfile=", "--logfile={folder}/web.log"),
            *("web", "--listen=tcp:{port}:interface=127.0.0.1"),
        ),
        hello=b"GET / HTTP/1.0\r\n\r\n",
    ),
)

CONTENDERS = tuple(
    one if one.stats else replace(one, stream_port=port, datagram_port=port)
    for port, one in enumerate(_CONTENDERS, PORT)
)
"""In the order of each round, and of the table. Each has its own ports."""
