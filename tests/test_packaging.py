"""What people install: the wheel, the source distribution and an editable install."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.fresh import REPOSITORY, FreshEnvironment, copy_of_the_tree, made_once, run
from tests.requirements import lowest_versions
from tests.test_architecture import modules

LAB = (REPOSITORY / "config" / "lab.ini").read_bytes()


@dataclass(frozen=True)
class Built:
    """A source distribution, and the wheel that was built from it."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    def build(folder: Path) -> None:
        copy = copy_of_the_tree(folder)
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), folder=copy)

    folder = made_once(tmp_path_factory, "built", build)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def from_wheel(built: Built, tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    def make(folder: Path) -> None:
        FreshEnvironment(folder / "venv").create().install(built.wheel)

    return FreshEnvironment(made_once(tmp_path_factory, "wheel", make) / "venv")


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    def make(folder: Path) -> None:
        copy = copy_of_the_tree(folder)
        FreshEnvironment(folder / "venv").create().install("--editable", copy)

    return FreshEnvironment(made_once(tmp_path_factory, "editable", make) / "venv")


@pytest.fixture(params=["from_wheel", "editable"])
def installed(request: pytest.FixtureRequest) -> FreshEnvironment:
    environment = request.getfixturevalue(request.param)
    assert isinstance(environment, FreshEnvironment)
    return environment


def test_twistd_lists_sockd(installed: FreshEnvironment, tmp_path: Path) -> None:
    said = run(installed.twistd, "--help", folder=tmp_path)
    assert "    sockd  " in said


def test_the_subcommand_explains_itself(installed: FreshEnvironment, tmp_path: Path) -> None:
    said = run(installed.twistd, "sockd", "--help", folder=tmp_path)
    assert "--config=" in said


def test_the_lab_comes_along(installed: FreshEnvironment, tmp_path: Path) -> None:
    said = run(installed.twistd, "-n", "sockd", "--check", folder=tmp_path)
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "simple-tcp",
        "simple-udp",
        "multi",
    ]


def test_it_is_the_installed_sockd_that_runs(installed: FreshEnvironment, tmp_path: Path) -> None:
    program = "import sockd, twisted.plugins.sockd_dropin as d; print(sockd.__file__, d.__file__)"
    said = run(installed.python, "-c", program, folder=tmp_path)
    here = str(installed.folder.parent)
    assert all(file.startswith(here) for file in said.split())


def test_the_wheel_has_what_runs_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
        assert wheel.read("sockd/lab.ini") == LAB
    assert {"sockd/py.typed", "twisted/plugins/sockd_dropin.py"} <= names
    outside = {name for name in names if not name.startswith("sockd")}
    assert outside == {"twisted/plugins/sockd_dropin.py"}
    modules = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("sockd/**/*.py")}
    assert modules <= names
    page = {
        path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("sockd/stats/page/*")
    }
    types = {name for name in page if name.endswith(".d.ts")}
    assert "sockd/stats/page/index.html" in page - types <= names
    assert types.isdisjoint(names)
    assert not [name for name in names if name.endswith((".cache", ".pyc"))]


def test_the_wheel_brings_the_licence_and_the_readme(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        text = wheel.read(metadata).decode()
        assert [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert (REPOSITORY / "README.md").read_text(encoding="utf-8") in text


def test_the_source_distribution_has_all_that_the_tests_need(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        files = {name.partition("/")[2]: name for name in sdist.getnames()}
        lab = sdist.extractfile(files["sockd/lab.ini"])
        assert lab is not None
        assert lab.read() == LAB
    tests = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("tests/**/*.py")}
    assert tests <= files.keys()
    bench = {
        path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("bench/**/*.[chp]*")
    }
    assert {path for path in bench if "__pycache__" not in path} <= files.keys()
    types = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("sockd/**/*.d.ts")}
    assert types
    assert types <= files.keys()
    assert not [path for path in files if "node_modules" in path]
    assert {"config/remote.ini", "docs/plugins.md", "CHANGELOG.md", "setup.cfg"} <= files.keys()


def test_the_version_can_be_read_without_the_dependencies(built: Built) -> None:
    tree = ast.parse((REPOSITORY / "sockd" / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert built.wheel.name.startswith("sockd-")


def test_a_package_is_declared_if_and_only_if_it_is_imported() -> None:
    imported = {
        package
        for imports in modules().values()
        for name in imports.all
        for package in packages_with(name)
    }
    assert imported == {normalized(name) for name in lowest_versions()}


def packages_with(module: str) -> set[str]:
    """Return the package that has a module: none for sockd and the standard library."""
    top = module.partition(".")[0]
    if top == "sockd" or top in sys.stdlib_module_names:
        return set()
    packages = set(installed_packages()[top]) - {"sockd"}
    if len(packages) > 1:  # they share a namespace, such as zope
        packages = {one for one in packages if f"{module}.".startswith(f"{one}.")}
    return {normalized(one) for one in packages}


@cache
def installed_packages() -> Mapping[str, list[str]]:
    """Return the packages that have something of each top-level module."""
    return packages_distributions()


def normalized(package: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def test_the_packaged_lab_and_the_shipped_one_have_one_source() -> None:
    assert (REPOSITORY / "sockd" / "lab.ini").resolve() == REPOSITORY / "config" / "lab.ini"
