"""Loggers with a short name for each part of sockd."""

from __future__ import annotations

from twisted.logger import Logger, LogLevel


class PartLogger(Logger):
    """A logger whose lines start with the name of a part, such as ``[sockd]``.

    Lines above level info also contain the level: ``[sockd.admin#warn]``. Unlike its base class, it
    does not use the name of the class that it is an attribute of.

    :param namespace: the name of the part: ``sockd``, ``sockd.admin``, ``sockd.stats`` or
        ``sockd.capture``.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)

    def __get__(self, instance: object, owner: type | None = None) -> PartLogger:
        """Return the logger itself."""
        return self

    def emit(self, level: LogLevel, format: str | None = None, **kwargs: object) -> None:  # noqa: A002
        """Log an event; the arguments are those of :meth:`twisted.logger.Logger.emit`."""
        if level is LogLevel.info:
            kwargs.setdefault("log_system", self.namespace)
        super().emit(level, format, **kwargs)
