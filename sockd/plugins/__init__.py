"""The plugin package: this folder and every other ``sockd/plugins/`` on Python's path.

A package that adds kinds or replies contains ``sockd/plugins/NAME.py`` and must *not* contain
``sockd/plugins/__init__.py``. See ``docs/plugins.md``.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
