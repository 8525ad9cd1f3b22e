"""The pages of the classroom show what the lab prints, and say the same in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ToolFinder
from tests.fresh import REPOSITORY
from tests.namespaces import Host
from tests.transcripts import lab
from tests.transcripts.pages import blocks, filled, settled
from tests.transcripts.sameness import clients_ports, essence, in_order, renumbered

ENGLISH, PORTUGUESE = (
    (REPOSITORY / "docs" / name).read_text(encoding="utf-8") for name in lab.PAGES
)
EPHEMERAL_RANGE = {"32768", "60999"}
LSOF = "twistd  {} ana   {}u  IPv4 {}      0t0  TCP 127.0.0.1:65433 (LISTEN)\n"

both_pages = pytest.mark.parametrize("page", [ENGLISH, PORTUGUESE], ids=["en", "pt-BR"])


def exercises(page: str) -> list[str]:
    """Return the sections with a number."""
    return re.findall(r"^## \d\. .*?(?=^## )", page, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return what stands outside of blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.network
def test_the_pages_show_what_the_lab_prints(
    wire: tuple[Host, Host], tool: ToolFinder, tmp_path: Path
) -> None:
    for name, package in lab.PROGRAMS.items():
        tool(name, package)
    shown = blocks(ENGLISH)
    texts = settled(shown, lab.play(*wire, tmp_path))
    assert texts.keys() == shown.keys()
    out_of_date = {name: text for name, text in texts.items() if text != shown[name]}
    assert out_of_date == {}, "python -m tests.transcripts fills the pages"


def test_both_pages_have_the_same_blocks_in_the_same_places() -> None:
    assert blocks(ENGLISH) == blocks(PORTUGUESE)
    there, here = exercises(ENGLISH), exercises(PORTUGUESE)
    assert len(there) == len(here) == 9
    assert list(map(list, map(blocks, there))) == list(map(list, map(blocks, here)))


def test_both_pages_ask_the_same_number_of_questions_after_the_same_explanations() -> None:
    def shape(page: str, why: str, check: str) -> list[tuple[int, int, int]]:
        return [
            (one.count(f"**{why}**"), one.count(f"**{check}**"), one.count("<details><summary>"))
            for one in exercises(page)
        ]

    english = shape(ENGLISH, "Why.", "Check yourself.")
    assert english == shape(PORTUGUESE, "Por quê.", "Confira você mesmo.")
    assert all(why == check == 1 and 1 <= questions <= 3 for why, check, questions in english)


@both_pages
def test_the_lab_takes_about_45_minutes(page: str) -> None:
    minutes = re.findall(r"^\| \d \| .* \| (\d+) \|$", page, re.MULTILINE)
    assert len(minutes) == 9
    assert 43 <= sum(map(int, minutes)) <= 47


@both_pages
def test_the_text_names_only_ports_that_its_blocks_show(page: str) -> None:
    for exercise in exercises(page):
        shown = set(re.findall(r"\d+", "".join(blocks(exercise).values())))
        named = set(re.findall(r"\b\d{4,5}\b", prose(exercise))) - EPHEMERAL_RANGE
        assert named <= shown, exercise.partition("\n")[0]


@both_pages
def test_the_text_says_to_run_what_was_run(page: str) -> None:
    said = set(re.findall(r"(?:`|<code>)(nc .*?)(?:`|</code>)", prose(page)))
    assert said == {lab.SIMPLE_TCP, lab.MULTI, lab.SIMPLE_UDP, lab.FROM_ONE_PORT}


def test_every_program_of_the_lab_is_installed_by_those_who_need_it() -> None:
    needed = set(lab.PROGRAMS.values()) - {"util-linux"}  # that one is always there
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    for text in (ENGLISH, PORTUGUESE, ci):
        packages = re.search(r"apt install (.*)|packages=\(([^)]*)\)", text)
        assert packages is not None
        assert needed <= set((packages[1] or packages[2]).split())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LSOF.format(123, 7, 4711), LSOF.format(1234567, 12, 471108)),
        ("Host is up (0.000094s latency).", "Host is up (0.00012s latency)."),
        ("scanned in 0.06 seconds", "scanned in 1.21 seconds"),
        ("Nmap 7.93 ( url ) at 2001-02-03 04:05 UTC", "Nmap 7.95 ( url ) at 2003-02-01 05:04 -03"),
        ("sockd 0.1.0, lab, process 7", "sockd 1.22.3, lab, process 4711"),
        ("    8 0.5 1 [SYN]\n    9 0.6 1 [ACK] x\n", "    8 0.5 1 [SYN]\n"),
        ("    8 0.55 1 [SYN] MSS=1 TSval=2", "   18 10.0002 1 [SYN] MSS=3 TSval=44"),
    ],
)
def test_what_differs_from_run_to_run_is_no_difference(old: str, new: str) -> None:
    assert essence(old) == essence(new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ESTAB 0 0 127.0.0.1:65433 127.0.0.1:50001", "ESTAB 0 0 127.0.0.1:65434 127.0.0.1:50001"),
        ("ESTAB 0 0 127.0.0.1:65433 127.0.0.1:50001", "ESTAB 0 0 127.0.0.1:65433 127.0.0.1:50002"),
        ("ESTAB 6 0 127.0.0.1:65433 127.0.0.1:50001", "ESTAB 0 0 127.0.0.1:65433 127.0.0.1:50001"),
        ("8007/tcp closed ajp12", "8007/tcp open ajp12"),
        ("tcp 0 0 127.0.0.1:8007 LISTEN", "tcp 0 0 192.0.2.1:8007 LISTEN"),
        ("    8 0.55 1 [SYN]\n    9 0.66 1 [FIN, ACK]\n", "    8 0.55 1 [SYN]\n"),
        ("127.0.0.1:50001 <-> 127.0.0.1:65433 4 278", "127.0.0.1:50001 <-> 127.0.0.1:65434 4 278"),
        ("hello\n", "hello\nhello\n"),
    ],
)
def test_what_teaches_is_a_difference(old: str, new: str) -> None:
    assert essence(old) != essence(new)


def test_a_block_is_replaced_only_where_it_says_something_else() -> None:
    page = "".join(
        f"<!-- transcript: {name} -->\n```console\n{{}}\n```\ntext\n" for name in ("one", "two")
    )
    before = page.format("process 1", "closed")
    texts = settled(blocks(before), {"one": "process 2\n", "two": "open\n"})
    assert filled(before, texts) == page.format("process 1", "open")


def test_clients_are_numbered_as_they_come_and_ports_that_were_asked_for_stay() -> None:
    log = (
        "Connected by 127.0.0.1:60001 on 127.0.0.1:65432 (s #1)\n"
        "Connected by 192.0.2.2:20000 on 192.0.2.1:65432 (s #2)\n"
        "First datagram from [2001:db8::2]:40000 on [2001:db8::1]:65431 (u #3)\n"
    )
    ports = clients_ports(log)
    assert ports == [60001, 40000]
    text = "40000 → 65432, tcp.port == 60001, 127.0.0.1:60001, 1.40000, 140000, 20000"
    expected = "50002 → 65432, tcp.port == 50001, 127.0.0.1:50001, 1.40000, 140000, 20000"
    assert renumbered(text, ports) == expected


@pytest.mark.parametrize(
    "lines",
    [
        [
            "State Local Address:Port Peer Address:Port\n",
            "LISTEN 127.0.0.1:65433 0.0.0.0:*\n",
            "ESTAB 127.0.0.1:65433 127.0.0.1:50001\n",
            "ESTAB 127.0.0.1:65433 127.0.0.1:50002\n",
            "ESTAB 127.0.0.1:50001 127.0.0.1:65433\n",
            "ESTAB 127.0.0.1:50002 127.0.0.1:65433\n",
        ],
        [
            "COMMAND NODE NAME\n",
            "twistd TCP *:65433 (LISTEN)\n",
            "twistd TCP 192.0.2.1:65433->192.0.2.1:20000 (ESTABLISHED)\n",
            "twistd TCP 192.0.2.1:65433->192.0.2.2:20000 (ESTABLISHED)\n",
            "nc TCP 192.0.2.1:20000->192.0.2.1:65433 (ESTABLISHED)\n",
        ],
    ],
)
def test_sockets_are_sorted_below_their_headings(lines: list[str]) -> None:
    head, *rest = lines
    assert in_order("".join([head, *reversed(rest)])) == "".join(lines)
