"""Reload: read the configuration again while the daemon runs, and apply it.

- :mod:`~sockd.reload.plan`: the difference between two configurations. Pure.
- :mod:`~sockd.reload.followed`: the options that need a restart. Pure.
- :mod:`~sockd.reload.parts`: splits a plan into independent parts. Pure.
- :mod:`~sockd.reload.transition`: prepares a plan and carries it out
- :mod:`~sockd.reload.reloader`: reads the file and drives the others
"""
