"""Helpers for all parts of sockd.

- :mod:`~sockd.support.text`: untrusted text for terminals, logs and error messages
- :mod:`~sockd.support.files`: reading of configured files, without blocking
- :mod:`~sockd.support.steps`, :mod:`~sockd.support.turns`: long work in steps, distributed over
  reactor turns
- :mod:`~sockd.support.logger`: loggers with short names
- :mod:`~sockd.support.service`: typed base classes of services
"""
