"""Discovery of the installed kinds and replies, and of broken plugins.

A plugin is a module in ``sockd/plugins/`` anywhere on Python's path, as with :mod:`twisted.plugin`.
Its ``getPlugins`` is not used: it logs a traceback for a module that cannot be imported, and
continues. Here this is a problem with the plugin's file as its location.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import traceback
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, TypeVar, cast

from zope.interface.verify import verifyObject

from sockd.errors import ConfigurationError, Problem, SourceLocation
from sockd.interfaces import ICountsDescriptors, INetworkService, IReply, IServiceKind
from sockd.support.text import exception_summary, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sockd.config.specs import ServiceSpec
    from sockd.services.context import ServiceContext

_REPAIR = "fix it, or uninstall the package that contains it"
_RENAME = "rename one, or uninstall one of the packages"

Plugin = TypeVar("Plugin", IReply, IServiceKind)


@dataclass(frozen=True, slots=True)
class Registry:
    """The installed kinds and replies by name, and the problems of plugins."""

    kinds: Mapping[str, IServiceKind]
    replies: Mapping[str, IReply]
    problems: tuple[Problem, ...]

    def descriptors(self, spec: ServiceSpec) -> int:
        """Return the maximum number of descriptors that a service needs."""
        kind = self.kinds[spec.kind]
        if ICountsDescriptors.providedBy(kind):
            return cast("ICountsDescriptors", kind).descriptors(spec)
        return len(spec.listen) + (0 if kind.datagrams else spec.max_connections)

    @property
    def kind_options(self) -> Mapping[str, Sequence[str]]:
        """The names of the options that each kind declares, by the name of the kind."""
        return {name: [option.name for option in kind.options] for name, kind in self.kinds.items()}

    def serve(self, spec: ServiceSpec, context: ServiceContext) -> INetworkService:
        """Create the service of a section. It is not started.

        :raise ConfigurationError: if the kind raises an exception.
        """
        try:
            return self.kinds[spec.kind].serve(spec, self.replies[spec.reply], context)
        except Exception as error:  # a plugin may raise anything
            message = f"the kind {quoted(spec.kind)} failed: {exception_summary(error)}"
            raise ConfigurationError([Problem(spec.location, message, _REPAIR)]) from error


def discover(package: str = "sockd.plugins") -> Registry:
    """Import every module of the plugin package, and collect its kinds and replies."""
    problems: list[Problem] = []
    modules = list(_modules(importlib.import_module(package), problems))
    return Registry(
        kinds=_gather(IServiceKind, modules, problems),
        replies=_gather(IReply, modules, problems),
        problems=tuple(problems),
    )


def _modules(package: ModuleType, problems: list[Problem]) -> Iterator[ModuleType]:
    """Import the modules of a package. A module that cannot be imported is a problem."""
    files: dict[str, str] = {}
    for name, file in _files(package.__path__):
        if name in files:
            if os.path.samefile(file, files[name]):  # noqa: PTH121 - a name is all there is
                continue
            message = f"the plugin is hidden by {files[name]}, a module of the same name"
            problems.append(Problem(SourceLocation(file, 1), message, _RENAME))
            continue
        files[name] = file
        try:
            yield importlib.import_module(f"{package.__name__}.{name}")
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            message = f"the plugin cannot be imported: {exception_summary(error)}"
            problems.append(
                Problem(SourceLocation(file, _error_line(error, file)), message, _REPAIR)
            )


def _files(folders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return the names and files of the modules in each folder."""
    for folder in folders:
        for finder, name, _ in pkgutil.iter_modules([folder]):
            spec = finder.find_spec(name, None)
            if spec is not None and spec.origin is not None:
                yield name, spec.origin


def _gather(
    interface: type[Plugin], modules: list[ModuleType], problems: list[Problem]
) -> Mapping[str, Plugin]:
    """Return the objects of the modules that completely provide an interface, by name."""
    gathered: dict[str, Plugin] = {}
    files: dict[str, str] = {}
    for module in modules:
        file = str(module.__file__)
        for label, plugin in vars(module).items():
            if not interface.providedBy(plugin):
                continue
            try:
                _verify(interface, plugin)
            except Exception as error:  # a plugin's attributes may raise anything
                reason = exception_summary(error)
                message = f"{quoted(label)} is not a valid {interface.__name__}: {reason}"
                problems.append(Problem(SourceLocation(file, 1), message, _REPAIR))
                continue
            name = plugin.name
            if gathered.setdefault(name, plugin) is not plugin:
                message = f"{quoted(name)} is also the name of a plugin in {files[name]}"
                problems.append(Problem(SourceLocation(file, 1), message, _RENAME))
            files.setdefault(name, file)
    return MappingProxyType(gathered)


def _verify(interface: type[Plugin], plugin: Plugin) -> None:
    """Raise an exception for an unusable plugin: a missing method, an invalid default."""
    verifyObject(interface, plugin)
    if not isinstance(plugin.name, str):
        message = "its name is not a string"
        raise TypeError(message)
    for option in plugin.options:
        option.parse(option.default)


def _error_line(error: BaseException, file: str) -> int:
    """Return the last line of a file in the traceback of an exception, or 1."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 1 for f in reversed(frames) if f.filename == file), 1)
