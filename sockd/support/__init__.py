"""Small things that every part uses.

- :mod:`~sockd.support.text`: text from outside, made fit for a terminal or an error message
- :mod:`~sockd.support.files`: reads files that people name, and never waits for one
- :mod:`~sockd.support.steps`, :mod:`~sockd.support.turns`: long work in steps, and how the
  reactor's thread does it without keeping clients waiting
- :mod:`~sockd.support.logger`: loggers with short names
- :mod:`~sockd.support.service`: Twisted's ``Service``, with types
"""
