"""The lab as the pages tell it, exercise by exercise."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.namespaces import Host
from tests.transcripts.stage import Stage

PAGES = ("classroom.md", "classroom.pt-BR.md")
"""The pages that show it, in the folder ``docs``."""

PROGRAMS = {
    "curl": "curl",
    "ip": "iproute2",
    "lsof": "lsof",
    "nc": "netcat-openbsd",
    "netstat": "net-tools",
    "nmap": "nmap",
    "setsid": "util-linux",
    "ss": "iproute2",
    "ssh": "openssh-client",
    "tshark": "tshark",
}
"""What the lab runs, and the Debian packages that have it."""

LAB = ".venv/bin/twistd -n sockd -c config/lab.ini"
REMOTE = ".venv/bin/twistd -n sockd -c config/remote.ini"
SIMPLE_TCP = "nc 127.0.0.1 65432"
SIMPLE_UDP = "nc -u 127.0.0.1 65431"
MULTI = "nc 127.0.0.1 65433"
FROM_ONE_PORT = "nc -p 20000 192.0.2.1 65433"
NOBODY = 65430


def play(server: Host, colleague: Host, folder: Path) -> dict[str, str]:
    """Return all blocks of the pages, by name.

    :param folder: an empty one to work in.
    """
    ssh = shutil.which("ssh")
    assert ssh is not None
    stage = Stage(server, colleague, folder, ssh)
    with stage.daemon(LAB):
        for exercise in (_start, _accept, _queue, _many, _datagrams, _wire):
            with stage.exercise():
                exercise(stage)
    with stage.daemon(REMOTE), stage.exercise():
        _colleague(stage)
    return stage.played


def _start(stage: Stage) -> None:
    stage.show("start", f"$ {LAB}\n" + stage.new_log("admin: ssh"))
    stage.show("listening", stage.run("ss -ltn 'sport = :65432'"))


def _accept(stage: Stage) -> None:
    both_ends = "ss -tan '( sport = 65432 or dport = 65432 )'"
    with stage.client(SIMPLE_TCP) as client:
        stage.show("accept", client.text)
        stage.show("accepted", stage.new_log("Ports: one connection"))
        stage.show("three-sockets", stage.run(both_ends))
    stage.show("closed", stage.new_log("Closed"))
    stage.show("time-wait", stage.run_until(both_ends, "TIME-WAIT"))


def _queue(stage: Stage) -> None:
    with ExitStack() as first:
        first.enter_context(stage.client(SIMPLE_TCP))
        stage.show("first-in-line", stage.new_log("Connected by"))
        with stage.window(SIMPLE_TCP) as second:
            second.type("hello")
            sockets = "ss -tan 'sport = :65432'"
            stage.run_until(sockets, "ESTAB +6 ")
            # ss looks at listeners first: that look may have been before the client came.
            stage.show("queue", stage.run(sockets))
            waiting = "curl -s 127.0.0.1:8007/services/simple-tcp | grep waiting"
            stage.show("waiting", stage.run(waiting))
            stage.show("no-answer", second.text)
            stage.new_log("Ports: ")
            first.close()
            second.wait_for("hello\nhello\n")
            stage.show("answer", second.text)
            stage.show("next-in-line", stage.new_log("Connected by"))
            second.press_ctrl_c()
        stage.new_log("Closed")


def _many(stage: Stage) -> None:
    with ExitStack() as clients:
        for _ in range(3):
            clients.enter_context(stage.client(MULTI))
        stage.show("many", stage.new_log(r"Connected by .* \(multi #6\)"))
        stage.show("ports", stage.shell("'ports()'"))
        stage.show("one-port", stage.run("ss -tan 'sport = :65433'"))
    for _ in range(3):
        stage.new_log("Closed")


def _datagrams(stage: Stage) -> None:
    with stage.client(SIMPLE_UDP) as client, stage.client(SIMPLE_UDP):
        stage.show("datagram", client.text)
        stage.show("datagrams", stage.new_log("2 different ports"))
        sockets = stage.run("ss -uan '( sport = 65431 or dport = 65431 )'")
        stage.show("one-socket", sockets)
    stage.show("refused", stage.run(f"nc -v 127.0.0.1 {NOBODY}"))


def _wire(stage: Stage) -> None:
    with stage.window("tshark -i lo -f 'port 65433 or port 65431' -P -w lab.pcapng") as capture:
        capture.wait_for("Capture started.*\n.*File: ")
        with stage.client(MULTI), stage.client(MULTI):
            stage.show("on-the-wire", stage.new_log(r"Connected by .* \(multi #10\)"))
            found = stage.shell("'connection(10)' | grep filter")
        stage.show("filter", found)
        for _ in range(2):
            stage.new_log("Closed")
        with stage.client(SIMPLE_UDP):
            stage.new_log("First datagram")
            capture.wait_for("UDP.*\n.*UDP.*\n")
        capture.press_ctrl_c()
    begun, _, _ = capture.text.partition("    1 ")
    stage.show("capture", begun)
    stage.show("conversations", stage.run("tshark -r lab.pcapng -q -z conv,udp -z conv,tcp"))
    display_filter = found.split("display_filter")[-1].strip()
    stage.show("selected", stage.run(f"tshark -r lab.pcapng -Y '{display_filter}'"))


def _colleague(stage: Stage) -> None:
    stage.show("remote", f"$ {REMOTE}\n" + stage.new_log("admin: ssh"))
    with stage.client(FROM_ONE_PORT), stage.client(FROM_ONE_PORT, stage.colleague) as client:
        stage.show("from-afar", client.text)
        stage.show("remote-log", stage.new_log("Ports: .* 2 hosts"))
        stage.show("two-hosts", stage.shell("'ports()'"))
        stage.show("private", stage.run("curl http://192.0.2.1:8007/ports", stage.colleague))
        stage.show("netstat", stage.run("netstat -tuln"))
        stage.show("lsof", stage.run("lsof -nP -i :65433"))
        nmap = "nmap -n -p 2222,8007,65430-65433 192.0.2.1"
        stage.show("nmap", stage.run(nmap, stage.colleague))
        datagrams = "sudo nmap -n -sU -p 65430,65431 192.0.2.1"
        stage.show("nmap-udp", stage.run(datagrams, stage.colleague))
