"""The commands of the admin shell.

- :mod:`~sockd.admin.commands.command`: one command, and its parameters
- :mod:`~sockd.admin.commands.commands`: the tables, and the commands that make changes
- :mod:`~sockd.admin.commands.live`: the live commands ``top()`` and ``watch()``
- :mod:`~sockd.admin.commands.top`: the busiest connections, redrawn every second
- :mod:`~sockd.admin.commands.watch`: events as they happen
- :mod:`~sockd.admin.commands.capture`: ``capture``, ``capture.start()``, ``capture.stop()``
- :mod:`~sockd.admin.commands.viewer`: the same commands for viewers, without Python
"""
