"""Reload: the configuration read again while the daemon runs.

- :mod:`~sockd.reload.plan`: the difference between two configurations, as a value. Pure.
- :mod:`~sockd.reload.reloader`: carries it out
"""
