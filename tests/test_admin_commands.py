"""The commands print tables made for reading; a wrong name or number is one helpful line."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from sockd.admin.commands import commands
from sockd.admin.commands.commands import DEFAULT_ROWS, Commands
from sockd.admin.prompt.console import Console
from sockd.errors import BindError, ConfigurationError, Problem, SourceLocation
from sockd.model.address import Address
from sockd.reload.plan import Plan
from sockd.testing import FakeDaemon
from tests.support_admin import READING

NAMES = (*READING, "disconnect", "stop", "start", "reload", "commands")


class Lab:
    """A daemon with one service, and a person at its console."""

    def __init__(self) -> None:
        self.daemon = FakeDaemon()
        self.echo = self.daemon.add("echo")
        self.said = ""
        self.complaints = ""
        self.console = Console(self._say, self._complain)
        self.commands = Commands(self.daemon, self.console, self.daemon.clock.seconds)

    def _say(self, text: str) -> None:
        self.said += text

    def _complain(self, text: str) -> None:
        self.complaints += text

    def rows(self) -> list[list[str]]:
        """Return the cells of what was said, and forget it."""
        lines, self.said = self.said.splitlines(), ""
        return [line.split() for line in lines]


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_the_namespace_is_the_commands_and_the_daemon(lab: Lab) -> None:
    namespace = lab.commands.namespace()
    assert set(namespace) == {*NAMES, "daemon"}
    assert namespace["daemon"] is lab.daemon


def test_commands_lists_every_name(lab: Lab) -> None:
    lab.commands.commands()
    assert [row[0] for row in lab.rows()] == [*(f"{n}()" for n in NAMES), "daemon", "exit()"]


def test_status_shows_the_daemon_and_its_totals(lab: Lab) -> None:
    lab.echo.open()
    lab.daemon.clock.advance(75)
    lab.commands.status()
    facts = {row[0]: row[1:] for row in lab.rows()}
    assert facts["name"] == ["lab"]
    assert facts["uptime"] == ["1m15s"]
    assert facts["state"] == ["running"]
    assert facts["active"] == ["1"]
    lab.daemon.draining = True
    lab.commands.status()
    assert ["state", "draining"] in lab.rows()


def test_services_shows_where_they_listen_and_what_waits(lab: Lab) -> None:
    lab.echo.clients_waiting = 3
    lab.echo.open().received(5, 0.0)
    lab.daemon.add("udp", "udp", "udp")
    lab.commands.services()
    _, echo, udp = lab.rows()
    assert echo[:7] == ["echo", "multi", "echo", "listening", "127.0.0.1:65432", "3", "1"]
    assert echo[-2:] == ["5", "0"]
    assert udp[5] == "-"


def test_connections_shows_both_ends(lab: Lab) -> None:
    connection = lab.echo.open()
    lab.daemon.clock.advance(12)
    connection.received(5, lab.daemon.clock.seconds())
    lab.commands.connections()
    _, row = lab.rows()
    assert row == [
        *("1", "echo", "tcp", "127.0.0.1:65432", "127.0.0.1:50001"),
        *("12s", "0.0s", "5", "0", "1", "0"),
    ]


def test_connections_of_one_service_are_its_own(lab: Lab) -> None:
    lab.echo.open()
    lab.daemon.add("other").open()
    lab.commands.connections("other")
    _, row = lab.rows()
    assert row[:2] == ["2", "other"]


def test_no_connections_are_said_to_be_none(lab: Lab) -> None:
    lab.commands.connections()
    assert lab.said == "no open connections\n"


@pytest.mark.parametrize("service", [None, "echo"])
def test_a_long_table_is_cut_and_says_so(lab: Lab, service: str | None) -> None:
    for _ in range(DEFAULT_ROWS + 5):
        lab.echo.open()
    lab.commands.connections(service)
    rows = lab.rows()
    assert len(rows) == 1 + DEFAULT_ROWS + 1
    assert (
        " ".join(rows[-1]) == f"… and 5 more; connections(limit={DEFAULT_ROWS + 5}) shows them all"
    )
    lab.commands.connections(service, limit=DEFAULT_ROWS + 5)
    assert len(lab.rows()) == 1 + DEFAULT_ROWS + 5
    lab.commands.connections(service, limit=-1)
    assert len(lab.rows()) == 2


def test_connection_shows_all_about_one(lab: Lab) -> None:
    lab.echo.kernel_view = {"state": "established", "rtt": 0.001}
    connection = lab.echo.open()
    lab.commands.connection(connection.id)
    facts = {row[0]: " ".join(row[1:]) for row in lab.rows()}
    assert facts["peer"] == "127.0.0.1:50001"
    assert facts["display_filter"] == "tcp.port == 65432 && tcp.port == 50001"
    assert "state established" in facts["tcp"] or facts["tcp"] == "rtt 0.001"
    lab.echo.close(connection)
    lab.commands.connection(connection.id)
    facts = {row[0]: " ".join(row[1:]) for row in lab.rows()}
    assert (facts["state"], facts["reason"]) == ("closed", "eof")
    assert "tcp" not in facts


def test_a_relayed_connection_is_shown_with_its_balancer(lab: Lab) -> None:
    connection = lab.echo.open("192.0.2.1", 50412, Address("10.0.0.1", 40001))
    lab.commands.connection(connection.id)
    facts = {row[0]: row[1] for row in lab.rows()}
    assert (facts["peer"], facts["via"]) == ("192.0.2.1:50412", "10.0.0.1:40001")
    lab.commands.ports()
    assert "  192.0.2.1:50412 via 10.0.0.1:40001 → 127.0.0.1:65432" in lab.said.splitlines()


def test_ports_shows_each_connection_and_the_sentence_that_is_true(lab: Lab) -> None:
    for _ in range(3):
        lab.echo.open()
    lab.commands.ports()
    assert lab.said.splitlines() == [
        "echo: tcp 127.0.0.1:65432",
        "  127.0.0.1:50001 → 127.0.0.1:65432",
        "  127.0.0.1:50002 → 127.0.0.1:65432",
        "  127.0.0.1:50003 → 127.0.0.1:65432",
        (
            "  the server's port is the same for all 3 connections;"
            " the 3 clients have 3 different ports"
        ),
    ]


def test_ports_shows_no_more_than_its_limit_and_counts_all(lab: Lab) -> None:
    for _ in range(12):
        lab.echo.open()
    lab.commands.ports(limit=10)
    *shown, more, sentence = lab.said.splitlines()
    assert len(shown) == 11
    assert more == "  … and 2 more"
    assert sentence.startswith("  the server's port is the same for all 12 connections")


def test_ports_counts_a_bounded_number(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "COUNTED", 2)
    for _ in range(3):
        lab.echo.open()
    lab.commands.ports()
    assert lab.said.endswith("only the 2 oldest of 3 connections are counted\n")


def test_the_lesson_has_the_real_ports_of_the_lab(lab: Lab) -> None:
    lab.daemon.add("simple", "tcp")
    lab.commands.lesson()
    assert "nc 127.0.0.1 65432" in lab.said


def test_ports_shows_the_path_of_a_unix_socket(lab: Lab) -> None:
    from sockd.model.address import Address
    from sockd.model.records import Listener

    listener = Listener("unix", Address("/run/echo"), 50)
    lab.daemon.ledger.bound(lab.echo.record, (listener,))
    lab.daemon.ledger.open(lab.echo.record, listener, listener.address, Address(""))
    lab.commands.ports()
    assert lab.said.splitlines()[:2] == ["echo: unix /run/echo", "  a unix client → /run/echo"]


def test_ports_without_listeners_says_so(lab: Lab) -> None:
    lab.commands.stop("echo")
    lab.said = ""
    lab.commands.ports()
    assert lab.said == "nothing listens\n"


def test_disconnect_closes_a_connection_once(lab: Lab) -> None:
    connection = lab.echo.open()
    lab.commands.disconnect(connection.id)
    assert connection.closed is not None
    assert lab.said == "closing connection 1: 127.0.0.1:50001 on 127.0.0.1:65432\n"
    assert not lab.console.failed
    lab.commands.disconnect(connection.id)
    assert lab.complaints == "connection 1 is already closed (disconnect)\n"
    assert lab.console.failed


@pytest.mark.parametrize("number", [99, "1", None, 1.5])
@pytest.mark.parametrize("name", ["connection", "disconnect"])
def test_a_wrong_number_is_one_helpful_line(lab: Lab, name: str, number: object) -> None:
    getattr(lab.commands, name)(number)
    assert lab.complaints == f"no connection {number} (connections() shows the numbers)\n"
    assert lab.said == ""


@pytest.mark.parametrize("name", ["stop", "start", "connections"])
def test_a_wrong_name_is_one_helpful_line(lab: Lab, name: str) -> None:
    getattr(lab.commands, name)("ecko")
    assert lab.complaints == "no service 'ecko' (did you mean echo?)\n"
    getattr(lab.commands, name)(7)
    assert lab.complaints.splitlines()[1] == "no service '7' (known: echo)"


def test_stop_says_that_it_drains_and_when_it_is_done(lab: Lab) -> None:
    lab.echo.open()
    lab.echo.finish = Deferred()
    lab.commands.stop("echo")
    assert lab.said == "echo has stopped listening; 1 open connections may finish\n"
    ended: list[None] = []
    lab.console.idle().addCallback(ended.append)
    assert not ended
    lab.echo.finish.callback(None)
    assert lab.said.endswith("echo is stopped\n")
    assert ended == [None]


def test_a_service_that_was_started_again_while_it_drained_is_not_called_stopped(lab: Lab) -> None:
    lab.echo.open()
    lab.echo.finish = Deferred()
    lab.commands.stop("echo")
    lab.commands.start("echo")
    lab.echo.finish.callback(None)
    assert lab.said.endswith("echo listens on 127.0.0.1:65432\n")


def test_a_service_whose_old_sockets_are_not_closed_yet_is_called_neither_stopped_nor_listening(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.echo, "privilegedStartService", lambda: None)
    lab.echo.open()
    lab.echo.finish = Deferred()
    lab.commands.stop("echo")
    lab.commands.start("echo")
    lab.echo.finish.callback(None)
    starts = "echo is starting; services() shows when it listens"
    assert lab.said.splitlines()[1:] == [starts, starts]


def test_stop_and_start_say_when_there_is_nothing_to_do(lab: Lab) -> None:
    lab.commands.start("echo")
    assert lab.complaints == "echo already listens on 127.0.0.1:65432\n"
    lab.commands.stop("echo")
    lab.commands.stop("echo")
    assert lab.complaints.endswith("echo is already stopped\n")


def test_start_says_where_it_listens(lab: Lab) -> None:
    lab.commands.stop("echo")
    lab.commands.start("echo")
    assert lab.said.endswith("echo listens on 127.0.0.1:65432\n")


def test_a_port_that_cannot_be_had_is_one_line(lab: Lab) -> None:
    lab.commands.stop("echo")
    problem = Problem(SourceLocation("lab.ini", 4, "service:echo", "listen"), "taken", "another")
    lab.echo.unbindable = BindError([problem])
    lab.commands.start("echo")
    assert lab.complaints == "lab.ini:4: [service:echo] listen: taken (another)\n"


def test_whatever_else_fails_is_one_line_too(lab: Lab) -> None:
    lab.echo.finish = Deferred()
    lab.commands.stop("echo")
    lab.echo.finish.errback(RuntimeError("out of\x1b luck"))
    assert lab.complaints == "RuntimeError: out of\\x1b luck\n"


def test_reload_says_what_has_changed(lab: Lab) -> None:
    lab.daemon.plan = Plan(restart=(SourceLocation("lab.ini", 9, "stats", "hosts"),))
    lab.commands.reload()
    assert lab.said.splitlines() == [
        "kept 0",
        "lab.ini:9: [stats] hosts: changed, takes effect after a restart",
    ]


def test_reload_says_what_is_wrong_with_the_file(lab: Lab) -> None:
    lab.daemon.unreadable = ConfigurationError([Problem(SourceLocation("lab.ini", 9), "no", "yes")])
    lab.commands.reload()
    assert (lab.said, lab.complaints) == ("", "lab.ini:9: no (yes)\n")
