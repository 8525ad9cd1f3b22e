"""Discovery of plugins; broken ones are reported with file and line."""

from __future__ import annotations

import importlib
import itertools
import sys
from typing import TYPE_CHECKING, Protocol, cast

import pytest
from twisted.internet.task import Clock

from sockd.config.load import parse
from sockd.config.specs import ServiceSpec
from sockd.errors import ConfigurationError, SourceLocation
from sockd.model.ledger import Ledger
from sockd.reactor import IReactor
from sockd.registry import Registry, discover
from sockd.replies.echo import Echo
from sockd.services.context import ServiceContext
from tests.configurations import FakeKind

pytestmark = pytest.mark.dependencies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = itertools.count()

PACKAGE = """\
from twisted.plugin import pluginPackagePaths
__path__.extend(pluginPackagePaths(__name__))
"""

REPLY = """\
from zope.interface import implementer
from sockd.interfaces import IReply
from sockd.config.values import Option, duration

@implementer(IReply)
class Shout:
    name = "{name}"
    identity = False
    options = [Option("pace", duration, "{default}")]

    def converse(self, service, peer):
        raise NotImplementedError

shout = Shout()
"""

KIND = """\
from zope.interface import implementer
from sockd.interfaces import IServiceKind

@implementer(IServiceKind)
class Kind:
    name = "sctp"
    datagrams = True
    options = ()

    def serve(self, spec, reply, context):
        raise NotImplementedError

kind = Kind()
"""


class Packages(Protocol):
    """Puts folders with plugins on Python's path; the first is the package itself."""

    def __call__(self, *folders: dict[str, str]) -> tuple[str, list[Path]]:
        """Return the name of the package and the folders of its modules."""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    name = f"sockd_test_plugins_{next(NUMBERS)}"

    def make(*folders: dict[str, str]) -> tuple[str, list[Path]]:
        made = []
        for number, modules in enumerate(folders):
            folder = tmp_path / str(number) / name
            folder.mkdir(parents=True)
            monkeypatch.syspath_prepend(folder.parent)
            for module, text in modules.items():
                (folder / f"{module}.py").write_text(text, encoding="utf-8")
            made.append(folder)
        (made[0] / "__init__.py").write_text(PACKAGE, encoding="utf-8")
        importlib.invalidate_caches()
        return name, made

    yield make
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[module]


def reply(name: str = "shout", default: str = "1s") -> str:
    return REPLY.format(name=name, default=default)


def problems(registry: Registry) -> list[str]:
    return [str(problem) for problem in registry.problems]


def test_sockd_brings_its_own_kinds_and_replies() -> None:
    registry = discover()
    assert problems(registry) == []
    assert {"tcp", "multi", "udp"} <= registry.kinds.keys()
    assert {"echo", "upper"} <= registry.replies.keys()
    assert all(kind.name == name for name, kind in registry.kinds.items())
    assert [name for name, kind in registry.kinds.items() if kind.datagrams] == ["udp"]


def test_plugins_of_other_packages_are_found(packages: Packages) -> None:
    name, _ = packages({"a": reply("a")}, {"b": reply("b")}, {"c": KIND, "d": "number = 1"})
    registry = discover(name)
    assert problems(registry) == []
    assert sorted(registry.replies) == ["a", "b"]
    assert list(registry.kinds) == ["sctp"]


def test_what_is_found_cannot_be_changed(packages: Packages) -> None:
    registry = discover(packages({"a": reply()})[0])
    with pytest.raises(TypeError):
        registry.replies["other"] = registry.replies["shout"]  # type: ignore[index]


def test_one_object_under_two_names_is_one_plugin(packages: Packages) -> None:
    name, _ = packages({"a": reply() + "again = shout\n", "b": "from .a import shout\n"})
    registry = discover(name)
    assert problems(registry) == []
    assert list(registry.replies) == ["shout"]


BROKEN: dict[str, tuple[str, int, str]] = {
    "raises": (
        "import sys\n\nraise RuntimeError('no\\n\\x1b[31m luck')\n",
        3,
        r"the plugin cannot be imported: RuntimeError: no \x1b[31m luck",
    ),
    "raises deep down": (
        "import json\njson.loads('{')\n",
        2,
        "the plugin cannot be imported: JSONDecodeError: Expecting property name",
    ),
    "exits": (
        "import sys\nsys.exit(3)\n",
        2,
        "the plugin cannot be imported: SystemExit: 3",
    ),
    "syntax error": (
        "a = 1\n\nb = = 2\n",
        3,
        "the plugin cannot be imported: SyntaxError: invalid syntax",
    ),
    "syntax error elsewhere": (
        "x = 1\nexec(compile('a b', 'other.py', 'exec'))\n",
        2,
        "the plugin cannot be imported: SyntaxError: invalid syntax",
    ),
    "missing module": (
        "import sockd_has_no_such_module\n",
        1,
        "the plugin cannot be imported: ModuleNotFoundError: No module named",
    ),
    "lacks a method": (
        reply().replace("def converse", "def talk"),
        1,
        "'shout' is not a valid IReply: BrokenImplementation: The object",
    ),
    "lacks a name": (
        reply().replace("    name", "    title"),
        1,
        "'shout' is not a valid IReply: BrokenImplementation: The object",
    ),
    "wrong arguments": (
        reply().replace("service, peer", "service"),
        1,
        "'shout' is not a valid IReply: BrokenMethodImplementation: The object",
    ),
    "name that is not a string": (
        reply().replace('name = "shout"', "name = 5"),
        1,
        "'shout' is not a valid IReply: TypeError: its name is not a string",
    ),
    "name that raises": (
        reply().replace('name = "shout"', "name = property(lambda self: 1 / 0)"),
        1,
        "'shout' is not a valid IReply: ZeroDivisionError: division by zero",
    ),
    "wrong default": (
        reply(default="soon"),
        1,
        "'shout' is not a valid IReply: InvalidValue: 'soon' is not a valid duration",
    ),
}


@pytest.mark.parametrize(("text", "line", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_the_others_work(
    packages: Packages, text: str, line: int, message: str
) -> None:
    name, (folder,) = packages({"bad": text, "good": reply("good")})
    registry = discover(name)
    (problem,) = problems(registry)
    assert problem.startswith(f"{folder}/bad.py:{line}: {message}")
    assert problem.endswith("(fix it, or uninstall the package that contains it)")
    assert problem.isprintable()
    assert list(registry.replies) == ["good"]


def test_two_plugins_of_one_name_are_an_error_that_names_both_files(packages: Packages) -> None:
    name, (one, two) = packages({"a": reply()}, {"b": reply()})
    assert problems(discover(name)) == [
        (
            f"{two}/b.py:1: 'shout' is also the name of a plugin in {one}/a.py "
            "(rename one, or uninstall one of the packages)"
        )
    ]


def test_a_module_that_hides_another_is_an_error_that_names_both_files(
    packages: Packages,
) -> None:
    name, (one, two) = packages({"a": reply("one")}, {"a": reply("two")})
    registry = discover(name)
    assert problems(registry) == [
        (
            f"{two}/a.py:1: the plugin is hidden by {one}/a.py, a module of the same name "
            "(rename one, or uninstall one of the packages)"
        )
    ]
    assert list(registry.replies) == ["one"]


def test_a_folder_that_is_on_the_path_twice_is_no_error(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, (_, two) = packages({}, {"b": reply()})
    link = tmp_path / "link"
    link.symlink_to(two.parent)
    monkeypatch.syspath_prepend(link)
    registry = discover(name)
    assert problems(registry) == []
    assert list(registry.replies) == ["shout"]


def test_an_unknown_kind_names_the_plugin_that_may_have_brought_it(packages: Packages) -> None:
    name, (folder,) = packages({"bad": "1 / 0\n", "good": KIND})
    registry = discover(name)
    broken = ", ".join(problem.location.file for problem in registry.problems)
    text = "[service:x]\nkind = dccp\nlisten = udp:1\nreply = shout\n"
    with pytest.raises(ConfigurationError) as caught:
        parse("f", text, registry.kinds, registry.replies, f"; broken plugins: {broken}")
    assert str(caught.value).split("\n") == [
        (
            f"f:2: [service:x] kind: unknown kind 'dccp'; broken plugins: {folder}/bad.py "
            "(did you mean sctp?)"
        ),
        (
            f"f:4: [service:x] reply: unknown reply 'shout'; broken plugins: {folder}/bad.py "
            "(known: none)"
        ),
    ]


def test_a_kind_that_fails_is_named_with_the_section_that_asked_for_it() -> None:
    registry = Registry({"tcp": FakeKind("tcp")}, {"echo": Echo()}, ())
    context = ServiceContext(cast(IReactor, Clock()), Ledger(lambda: 0.0), drain=5.0)
    spec = ServiceSpec("lab", "tcp", (), SourceLocation("lab.ini", 3, "service:lab"))
    with pytest.raises(ConfigurationError) as raised:
        registry.serve(spec, context)
    assert str(raised.value).startswith("lab.ini:3: [service:lab]: the kind 'tcp' failed: NotImpl")
