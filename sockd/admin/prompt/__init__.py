"""The prompt: what a session types is read, run and answered.

- :mod:`~sockd.admin.prompt.terminal`: the line editor of an interactive session
- :mod:`~sockd.admin.prompt.script`: statements from the standard input of ``ssh HOST``
- :mod:`~sockd.admin.prompt.input_pacer`: what is typed ahead, kept until it is its turn
- :mod:`~sockd.admin.prompt.runner`: the interface of what runs a statement, and the audit log
- :mod:`~sockd.admin.prompt.interpreter`: runs Python for admins
- :mod:`~sockd.admin.prompt.console`: the output of the statement that runs
- :mod:`~sockd.admin.prompt.screen`: the output of a live display such as ``top()``
"""
