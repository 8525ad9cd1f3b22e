"""The prompt: reads the input of a session, runs it and shows the output.

- :mod:`~sockd.admin.prompt.terminal`: the line editor of an interactive session
- :mod:`~sockd.admin.prompt.script`: statements from the standard input of ``ssh HOST``
- :mod:`~sockd.admin.prompt.input_pacer`: passes a viewer's input on, one line at a time
- :mod:`~sockd.admin.prompt.runner`: the interface that runs input, and the audit log
- :mod:`~sockd.admin.prompt.interpreter`: runs Python for admins
- :mod:`~sockd.admin.prompt.interruption`: the timeout of statements, and their interruption
- :mod:`~sockd.admin.prompt.console`: the output of commands
- :mod:`~sockd.admin.prompt.screen`: the output of live views such as ``top()``
"""
