"""Where plugin discovery looks: this folder, and every ``sockd/plugins/`` on Python's path.

A package that adds kinds or replies ships ``sockd/plugins/NAME.py`` and *no* ``__init__.py``
beside it. See ``docs/plugins.md``.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
