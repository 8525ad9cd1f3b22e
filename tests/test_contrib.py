"""The files for service managers and containers say what is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sockd.config.endpoint import DATAGRAM
from tests.configurations import read
from tests.conftest import ToolFinder
from tests.fresh import REPOSITORY
from tests.harness import DEADLINE, TWISTD

CONTRIB = REPOSITORY / "contrib"
UNIT = (CONTRIB / "sockd.service").read_text(encoding="utf-8")
CONTAINER = (CONTRIB / "Containerfile").read_text(encoding="utf-8")
OPERATION = (REPOSITORY / "docs" / "operation.md").read_text(encoding="utf-8")


def analyze(tool: ToolFinder, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("systemd-analyze", "systemd"), *words],
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a copy of the units that names programs which are here."""
    for name in ("sockd.service", "sockd.socket"):
        text = (CONTRIB / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/sockd/bin/twistd", TWISTD), "utf-8")
    return tmp_path


def test_the_exposure_of_the_unit_is_the_figure_on_the_page(tool: ToolFinder) -> None:
    done = analyze(tool, "security", "--offline=true", str(CONTRIB / "sockd.service"))
    found = re.search(r"Overall exposure level for sockd\.service: (\S+ \w+)", done.stdout)
    assert found is not None, done.stderr
    assert f"Overall exposure level for sockd.service: {found[1]}" in OPERATION
    assert float(found[1].split()[0]) < 2


@pytest.mark.parametrize("name", ["sockd.service", "sockd.socket"])
def test_systemd_finds_nothing_to_complain_of(tool: ToolFinder, installed: Path, name: str) -> None:
    done = analyze(tool, "verify", "--man=no", str(installed / name))
    complaints = [line for line in done.stderr.splitlines() if str(installed) in line]
    assert (done.returncode, complaints) == (0, [])


def test_the_unit_may_bind_low_ports_and_nothing_else() -> None:
    granted = re.findall(r"^(?:Ambient\w+|CapabilityBoundingSet)=(.*)$", UNIT, re.MULTILINE)
    assert granted == ["CAP_NET_BIND_SERVICE"] * 2
    assert "\nDynamicUser=yes\n" in UNIT


def test_the_examples_of_the_socket_unit_are_right() -> None:
    text = (CONTRIB / "sockd.socket").read_text(encoding="utf-8")
    example = "\n".join(re.findall(r"^#   (.*)$", text, re.MULTILINE))
    assert [spec.name for spec in read(example).services] == ["echo", "echo-udp"]


def test_what_the_container_copies_and_installs_is_there() -> None:
    sources = re.findall(r"/sockd/(contrib/\S+)", CONTAINER)
    assert sources == ["contrib/container.ini"]
    assert all((REPOSITORY / source).is_file() for source in sources)
    assert re.search(r"^USER 65534:65534$", CONTAINER, re.MULTILINE)


def test_the_container_publishes_the_ports_of_its_configuration() -> None:
    configuration = read((CONTRIB / "container.ini").read_text(encoding="utf-8"))
    ports = {
        f"{one.port}/{'udp' if one.kind == DATAGRAM else 'tcp'}" for one in configuration.endpoints
    }
    [exposed] = re.findall(r"^EXPOSE (.*)$", CONTAINER, re.MULTILINE)
    assert set(exposed.split()) == ports
    assert not any(one.is_private for one in configuration.endpoints)
    assert configuration.admin is None
